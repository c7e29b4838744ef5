"""txtai's own API server as a process of another environment, on the documents of a judged set."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.http_clients import TxtaiClient
from bench.judged import JudgedSet
from bench.service import await_answer, free_port
from indexes.embedders.weights import MINILM, resolve

_CONFIG = """\
path: {index}
writable: true
embeddings:
  path: {model}
  hybrid: true
  content: true
"""


@contextlib.contextmanager
def serving_txtai(python: Path, judged: JudgedSet, cache: Path) -> Iterator[str]:
    """The URL of a server run by `python`, hybrid and with the same model, for the length of the block.

    Its index is kept below `cache`: building it takes minutes.
    """
    folder = (cache / f"txtai-{judged.name}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    config, log, index = folder / "config.yml", folder / "serve.log", folder / "index"
    asked = _CONFIG.format(index=index, model=resolve(MINILM, {}, Path()).folder)
    if config.exists() and config.read_text("utf-8") != asked:  # an index names the folder of its model
        shutil.rmtree(index, ignore_errors=True)
    config.write_text(asked, "utf-8")
    port = free_port()
    command = [str(python), "-m", "uvicorn", "txtai.api:app", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "CONFIG": str(config), "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(f"{url}/count", process, log)
        if not index.exists():
            with TxtaiClient(url) as client:
                client.index({key: document.text for key, document in judged.documents.items()})
        yield url
    finally:
        process.terminate()
        process.wait()
