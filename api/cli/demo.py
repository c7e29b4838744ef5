"""`citewell demo`: a throw-away service, a folder of documents, three questions, answers with their quotes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexes.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.cli.ingestion import Outcome

_START_S = 180.0
_STORE = "demo"


def demo(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders to ask about.")],
    question: Annotated[
        list[str] | None,
        typer.Option(help="What to ask; may be repeated. Left out: three questions from the documents."),
    ] = None,
) -> None:
    """Start a service on a free port with an empty home, ingest, ask, print, stop. Nothing is left behind."""
    from api.cli.ask import answer_events, print_answer
    from api.cli.ingest import print_outcomes
    from api.cli.ingestion import Ingestion, collect
    from api.cli.output import console
    from api.cli.progress import shown_progress

    sources = collect(paths)
    if not sources:
        raise InvalidRequest(f"There are no files in {', '.join(map(str, paths))}.")
    with _service() as client:
        store = client.store_or_new(_STORE)
        console.print(f"Ingesting {len(sources)} files …")
        with shown_progress(len(sources)) as progress:
            outcomes = Ingestion(client, store, progress).run(sources, parallel=4, wait=True)
        print_outcomes(outcomes)
        for asked in question or _questions(client, store.id, outcomes):
            console.print(f"\n? {asked}", style="bold green", markup=False)
            print_answer(answer_events(client, asked, store.id, None))


@contextlib.contextmanager
def _service() -> "Iterator[Client]":
    from api.cli.client import connect

    with tempfile.TemporaryDirectory(prefix="citewell-demo-") as folder:
        home, port = Path(folder), _free_port()
        config, log = home / "citewell.toml", home / "demo.log"
        config.touch()
        # Nothing of the caller's own service may be touched: none of its settings counts here.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
        environment |= {"CITEWELL_HOME": folder, "CITEWELL_CONFIG": str(config), "CITEWELL_SERVER__PORT": str(port)}
        with log.open("wb") as output:
            command = [sys.executable, "-m", "api.cli.main", "serve"]
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603
        try:
            base_url = f"http://127.0.0.1:{port}"
            _await_ready(base_url, process, log)
            with connect(base_url, home) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(base_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{base_url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise Unavailable(f"The service did not start. The end of its log:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _questions(client: "Client", store_id: str, outcomes: "Sequence[Outcome]") -> list[str]:
    """One question each on three documents that lie far apart, in words of their own."""
    from api.wire.vector_store_files import FileContentPage

    completed = [outcome for outcome in outcomes if outcome.status == "completed"]
    picked = [completed[place * len(completed) // 3].file_id for place in range(3)] if completed else []
    questions = []
    for file_id in dict.fromkeys(picked):
        content = client.get(f"/vector_stores/{store_id}/files/{file_id}/content", FileContentPage)
        questions.append(f"What is said about “{_topic(content.data[0].text)}”?")
    return questions


def _topic(text: str) -> str:
    """The beginning of the first sentence that is more than a heading."""
    sentences = [sentence.split() for line in text.splitlines() for sentence in line.split(". ")]
    words = next((sentence for sentence in sentences if len(sentence) >= 6), text.split())
    return " ".join(words[:12]).rstrip(".,;:")
