"""Several processes, one installation: api, two workers and `citewell retrieval` on one PostgreSQL and one Valkey.

No revision is worked on twice, no chunk is doubled, and whichever process is killed, every document completes.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexes.lexical import Analyser
from indexes.manifest import Manifest
from tests.faults.acknowledged import Client
from tests.faults.scaled_out import ScaledOut, scaled_out

SECTIONS = 3


@dataclass(frozen=True)
class Work:
    """One store of an installation."""

    client: Client
    installation: ScaledOut

    def attach(self, prefix: str, count: int) -> None:
        """A batch of documents, accepted but not worked on."""
        names = [f"{prefix}{number}.md" for number in range(count)]
        files = [self.client.upload(name, document(name).encode()) for name in names]
        self.client.of_store("POST", "/file_batches", json={"file_ids": files})

    def revisions(self, columns: str) -> list[Any]:
        return self.installation.rows(f"SELECT {columns} FROM revisions")

    def owners(self) -> set[int]:
        """The processes that hold a lease at this moment."""
        return {int(row[0].split(":")[1]) for row in self.revisions("lease_owner") if row[0]}

    def completed(self) -> int:
        """How many documents are, once none is in progress."""
        counts = eventually(lambda: self.client.of_store("GET", "")["file_counts"], lambda it: it["in_progress"] == 0)
        assert counts["failed"] == counts["cancelled"] == 0
        return counts["completed"]

    def readiness(self) -> dict[str, str]:
        return httpx.get(f"{self.client.door.url}/readyz", timeout=30).json()


def document(name: str) -> str:
    filler = " ".join(f"word{number}" for number in range(120))
    return "\n\n".join(f"# {name} part {part}\n\n{name} says this. {filler}" for part in range(SECTIONS))


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = ask()
        if wanted(answer):
            return answer
        time.sleep(0.02)
    raise AssertionError(f"it stays {answer}")


@pytest.fixture
def work(postgres_url: str, tmp_path: Path, service_class: Callable[..., Any]) -> Iterator[Work]:
    with (
        scaled_out(postgres_url, tmp_path, service_class, apis=1) as installation,
        contextlib.closing(Client(installation.doors[0])) as client,
    ):
        client.create_store()
        yield Work(client, installation)


def test_workers_share_the_work_and_survive_each_other(work: Work) -> None:
    retrieval, (victim, survivor) = work.installation.retrieval, work.installation.workers

    work.attach("first", 40)
    seen: set[int] = set()
    eventually(lambda: seen.update(work.owners()) or seen, lambda owners: owners == {victim.pid, survivor.pid})
    assert work.completed() == 40
    assert {tuple(row) for row in work.revisions("state, attempts, fence")} == {("current", 1, 1)}
    assert_searchable_once(work, documents=40)

    work.attach("second", 20)
    eventually(work.owners, lambda owners: victim.pid in owners)
    victim.kill()
    assert work.completed() == 60
    assert_searchable_once(work, documents=60)

    work.attach("third", 20)
    eventually(work.owners, lambda owners: survivor.pid in owners)
    retrieval.kill()
    eventually(work.readiness, lambda parts: parts["vectors"] != "ok")
    retrieval.start()
    assert work.completed() == 80
    assert_searchable_once(work, documents=80)
    assert set(work.readiness().values()) == {"ok"}
    assert survivor.stop() == retrieval.stop() == 0


def assert_searchable_once(work: Work, documents: int) -> None:
    """Every chunk of every document is found, through the api and in the engine itself, and none of them twice."""
    request = {"query": "first7.md says this", "max_num_results": 50}
    hits = work.client.of_store("POST", "/search", json=request)["data"]
    assert [hit["key"] for hit in hits[:SECTIONS]] == ["first7.md"] * SECTIONS
    (version,) = work.client.of_store("GET", "/index_versions")["data"]
    manifest = Manifest.from_json(version["manifest"])
    with work.installation.engine() as engine:
        found = engine.open(version["id"], manifest).lexical(Analyser(manifest.lexical).query("says"), 10_000)
    assert len(found) == documents * SECTIONS
    assert {match.chunk_id for match in found} == {row[0] for row in work.installation.rows("SELECT id FROM chunks")}
