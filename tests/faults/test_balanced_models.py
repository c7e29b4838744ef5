"""Two `citewell retrieval` that run the same model: one is killed under load, and nobody notices."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from indexes.embedders.hashing import HashingEmbedder, WordTokenizer
from indexes.embedders.remote import RemoteEmbedder
from indexes.errors import Unavailable
from indexes.remote.endpoint import Endpoint

SECRET = "of this test"
CALLERS = 8


@contextlib.contextmanager
def retrieval(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], Endpoint]]:
    """One that runs the models alone, listening on a port of its own."""
    settings = {"HOME": str(home), "EMBEDDING__MODEL": "hashing-256", "RETRIEVAL__ENGINE__KIND": "none"}
    listening = {"RETRIEVAL__SECRET": SECRET, "RETRIEVAL__HOST": "127.0.0.1", "RETRIEVAL__PORT": "0"}
    environment = {**os.environ, **{f"CITEWELL_{name}": value for name, value in (settings | listening).items()}}
    command = [sys.executable, "-m", "api.cli.main", "retrieval"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            url = next(line for line in process.stderr if b"listening on" in line).split()[-1].decode()
            yield process, Endpoint(url, SECRET, timeout_s=20)
        finally:
            process.kill()


async def until_it_answers(embedder: RemoteEmbedder) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            await embedder.queries(["warm"])
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return


async def ask_until(stopped: asyncio.Event, embedder: RemoteEmbedder, caller: int) -> int:
    """How many questions were answered, each rightly."""
    asked = 0
    while not stopped.is_set():
        text = f"question {asked} of {caller}"
        assert np.array_equal(await embedder.queries([text]), HashingEmbedder().embed_queries([text]))
        asked += 1
    return asked


async def test_a_kill_under_load_fails_no_question(tmp_path: Path) -> None:
    with retrieval(tmp_path) as (process, one), retrieval(tmp_path) as (_, two):
        for endpoint in (one, two):
            alone = RemoteEmbedder([endpoint], HashingEmbedder().spec, WordTokenizer())
            await until_it_answers(alone)
            await alone.close()
        embedder, stopped = RemoteEmbedder([one, two], HashingEmbedder().spec, WordTokenizer()), asyncio.Event()
        callers = [asyncio.create_task(ask_until(stopped, embedder, caller)) for caller in range(CALLERS)]
        await asyncio.sleep(0.5)
        process.kill()
        await asyncio.sleep(0.5)
        stopped.set()
        answered = await asyncio.gather(*callers)
        assert min(answered) > 1
        await embedder.close()
