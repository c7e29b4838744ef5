"""Several processes, one installation: api, two workers and `citewell retrieval` on one PostgreSQL and one Valkey.

No revision is worked on twice, no chunk is doubled, and whichever process is killed, every document completes.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from indexes.engines.remote_index import RemoteEngine
from indexes.lexical import Analyser
from indexes.manifest import Manifest
from indexes.remote.endpoint import Endpoint
from ingestion.valkey import Valkey

SECTIONS = 3


@dataclass
class Process:
    """One `citewell` command as a process of its own."""

    command: list[str]
    environment: dict[str, str]
    log: Path

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api.cli.main", *self.command],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout=30)


@dataclass(frozen=True)
class Installation:
    """Everything that runs."""

    api: httpx.Client
    catalog: str
    endpoint: Endpoint
    retrieval: Process
    workers: list[Process]

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        reply = self.api.request(method, path, **arguments)
        reply.raise_for_status()
        return reply.json()

    def upload(self, name: str) -> str:
        body = {"file": (name, document(name).encode())}
        return self.call("POST", "/files", data={"purpose": "assistants"}, files=body)["id"]

    def attach(self, store: str, prefix: str, count: int) -> None:
        """A batch of documents, accepted but not worked on."""
        files = [self.upload(f"{prefix}{number}.md") for number in range(count)]
        self.call("POST", f"/vector_stores/{store}/file_batches", json={"file_ids": files})

    def revisions(self, columns: str) -> list[Any]:
        return asyncio.run(fetch(self.catalog, f"SELECT {columns} FROM revisions"))

    def owners(self) -> set[int]:
        """The processes that hold a lease at this moment."""
        return {int(row[0].split(":")[1]) for row in self.revisions("lease_owner") if row[0]}

    def completed(self, store: str) -> int:
        """How many documents are, once none is in progress."""
        counts = eventually(
            lambda: self.call("GET", f"/vector_stores/{store}")["file_counts"], lambda each: each["in_progress"] == 0
        )
        assert counts["failed"] == counts["cancelled"] == 0
        return counts["completed"]


def document(name: str) -> str:
    filler = " ".join(f"word{number}" for number in range(120))
    return "\n\n".join(f"# {name} part {part}\n\n{name} says this. {filler}" for part in range(SECTIONS))


async def fetch(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = ask()
        if wanted(answer):
            return answer
        time.sleep(0.02)
    raise AssertionError(f"it stays {answer}")


@pytest.fixture
async def installation(
    postgres_url: str, tmp_path: Path, service_class: Callable[..., Any]
) -> AsyncIterator[Installation]:
    await fetch(postgres_url, "DROP SCHEMA public CASCADE")
    await fetch(postgres_url, "CREATE SCHEMA public")
    queue = Valkey(tmp_path / "queue")
    await queue.start()
    home = tmp_path / "home"
    socket = queue.socket.with_name("retrieval.sock")
    # One set of settings for all processes, as one citewell.toml would be.
    environment = {
        "CITEWELL_HOME": str(home),
        "CITEWELL_CATALOG__URL": postgres_url,
        "CITEWELL_QUEUE__URL": f"unix://{queue.socket}",
        "CITEWELL_ENGINE__KIND": "remote",
        "CITEWELL_ENGINE__URL": f"unix://{socket}",
        "CITEWELL_EMBEDDING__MODEL": "hashing-256",
        "CITEWELL_EMBEDDING__URL": f"unix://{socket}",
        "CITEWELL_RETRIEVAL__SOCKET": str(socket),
        "CITEWELL_WORKER__EMBEDDED": "false",
        "CITEWELL_WORKER__PARSERS": "1",
        "CITEWELL_WORKER__LEASE_S": "3",
        "CITEWELL_WORKER__RETRY_DELAY_S": "0.5",
        "CITEWELL_WORKER__RECONCILE_S": "0.5",
    }
    retrieval = Process(["retrieval"], environment, tmp_path / "retrieval.log")
    workers = [Process(["worker"], environment, tmp_path / f"worker{number}.log") for number in range(2)]
    for process in (retrieval, *workers):
        process.start()
    service = service_class(home, environment)
    await asyncio.to_thread(service.start)
    secret = (home / "retrieval.key").read_text().strip()
    with httpx.Client(
        base_url=f"{service.url}/v1", headers={"Authorization": f"Bearer {service.key}"}, timeout=30
    ) as client:
        yield Installation(client, postgres_url, Endpoint(f"unix://{socket}", secret, 30), retrieval, workers)
    service.kill()
    for process in (retrieval, *workers):
        process.kill()
    await queue.stop()


def test_workers_share_the_work_and_survive_each_other(installation: Installation) -> None:
    store = installation.call("POST", "/vector_stores", json={"name": "shared"})["id"]
    pids = {worker.pid for worker in installation.workers}

    installation.attach(store, "first", 40)
    seen: set[int] = set()
    eventually(lambda: seen.update(installation.owners()) or seen, lambda owners: owners == pids)
    assert installation.completed(store) == 40
    assert {tuple(row) for row in installation.revisions("state, attempts, fence")} == {("current", 1, 1)}
    assert_searchable_once(installation, store, documents=40)

    installation.attach(store, "second", 20)
    victim, survivor = installation.workers
    eventually(installation.owners, lambda owners: victim.pid in owners)
    victim.kill()
    assert installation.completed(store) == 60
    assert_searchable_once(installation, store, documents=60)

    installation.attach(store, "third", 20)
    eventually(installation.owners, lambda owners: survivor.pid in owners)
    installation.retrieval.kill()
    eventually(lambda: readiness(installation), lambda parts: parts["vectors"] != "ok")
    installation.retrieval.start()
    assert installation.completed(store) == 80
    assert_searchable_once(installation, store, documents=80)
    assert set(readiness(installation).values()) == {"ok"}
    assert survivor.stop() == installation.retrieval.stop() == 0


def readiness(installation: Installation) -> dict[str, str]:
    return installation.api.get(installation.api.base_url.join("/readyz")).json()


def assert_searchable_once(installation: Installation, store: str, documents: int) -> None:
    """Every chunk of every document is found, through the api and in the engine itself, and none of them twice."""
    hits = installation.call(
        "POST", f"/vector_stores/{store}/search", json={"query": "first7.md says this", "max_num_results": 50}
    )["data"]
    assert [hit["key"] for hit in hits[:SECTIONS]] == ["first7.md"] * SECTIONS
    (version,) = installation.call("GET", f"/vector_stores/{store}/index_versions")["data"]
    manifest = Manifest.from_json(version["manifest"])
    engine = RemoteEngine(installation.endpoint)
    found = engine.open(version["id"], manifest).lexical(Analyser(manifest.lexical).query("says"), 10_000)
    engine.close()
    chunks = {row[0] for row in asyncio.run(fetch(installation.catalog, "SELECT id FROM chunks"))}
    assert len(found) == documents * SECTIONS
    assert {match.chunk_id for match in found} == chunks
