"""`citewell retrieval` as a process: killed, started again, stopped, and started twice."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from indexes.engines.opening import open_engine
from indexes.engines.settings import RemoteEngineSettings
from indexes.errors import Unavailable
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector

# httpcore leaves a unix socket that cannot connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket.*family=1:ResourceWarning")

MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 8, 128))
REVISION = "rev_" + "a" * 24
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the process on one home, and ends what is left of it."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "CITEWELL_HOME": str(tmp_path), "CITEWELL_EMBEDDING__MODEL": "hashing-256"}

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "api.cli.main", "retrieval", *options]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def point(number: int) -> Point:
    vector = np.random.default_rng(number).normal(size=8).astype(np.float32)
    return Point(chunk_id(REVISION, "c-1", number), REVISION, vector, SparseVector((1,), (1.0,)), {})


def eventually(call: Callable[[], Any], timeout_s: float = 30) -> Any:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except (Unavailable, httpx.HTTPError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_kill_loses_nothing_acknowledged_and_clients_go_on(start: Start, tmp_path: Path) -> None:
    engine = open_engine(RemoteEngineSettings(url=f"unix://{tmp_path}/retrieval.sock"), tmp_path)
    with pytest.raises(Unavailable, match="does not answer"):
        engine.create("ixv_1", MANIFEST)
    process = start()
    index = eventually(lambda: engine.create("ixv_1", MANIFEST))
    stored = [point(number) for number in range(40)]
    for each in stored:
        index.upsert([each])
    process.kill()
    process.wait()
    with pytest.raises(Unavailable):
        index.chunk_ids(REVISION)
    process = start()
    assert eventually(lambda: index.chunk_ids(REVISION)) == {each.chunk_id for each in stored}

    second = start()
    assert second.wait(30) == 2
    assert second.stderr is not None
    assert b"Another process owns the vectors" in second.stderr.read()
    assert len(index.dense(stored[0].vector, 50)) == 40

    process.terminate()
    assert process.wait(30) == 0
    assert not (tmp_path / "retrieval.sock").exists()
    engine.close()


def test_it_serves_http_to_those_who_know_the_secret(start: Start, tmp_path: Path) -> None:
    log = start("--host", "127.0.0.1", "--port", "0").stderr
    assert log is not None
    url = next(line for line in log if b"listening on" in line).split()[-1].decode()
    assert eventually(lambda: httpx.get(f"{url}/healthz")).json() == {"status": "ok"}
    assert eventually(lambda: httpx.get(f"{url}/readyz").raise_for_status()).json() == {"models": "ok"}
    assert httpx.post(f"{url}/1/index/drop", json={"version_id": "ixv_1"}).status_code == 401
    engine = open_engine(RemoteEngineSettings(url=url), tmp_path)
    with contextlib.closing(engine):
        assert engine.create("ixv_1", MANIFEST).chunk_ids(REVISION) == set()
    assert (tmp_path / "retrieval.key").stat().st_mode & 0o777 == 0o600
