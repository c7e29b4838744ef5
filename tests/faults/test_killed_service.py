"""Faults at seeded random points of uploading, superseding and deleting: what was acknowledged holds (I1-I4).

One writer works, one reader searches all the time, and what is struck is the service (kill -9), its queue server (with
and without its data) or its parsers. In the end the store holds exactly what was acknowledged: nothing lost, doubled,
half visible or stuck. The plain suite strikes a few times, `make faults` hundreds of times. The seed is printed; set
FAULT_SEED to repeat a run.
"""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexes.engines.qdrant_edge import QdrantEdgeEngine
from indexes.engines.settings import QdrantEdgeEngineSettings
from indexes.lexical import Analyser
from indexes.manifest import Manifest

DOCUMENTS = 12
SECTIONS = 3
FAULTS = ("service", "service", "queue", "queue and its data", "parsers")
GONE = "gone"


@dataclass
class Expected:
    """What the service has acknowledged of each key, and what it may have done without our knowing."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, set[str]] = field(default_factory=dict)

    def begin(self, key: str, outcome: str) -> None:
        self.unsure.setdefault(key, set()).add(outcome)

    def done(self, key: str, outcome: str) -> None:
        self.acknowledged[key], self.unsure[key] = outcome, set()

    def may_be(self, key: str) -> set[str]:
        return self.unsure.get(key, set()) | {self.acknowledged.get(key, GONE)}


class Api:
    """Plain HTTP, so that nothing is retried behind our back."""

    def __init__(self, service: Any) -> None:
        headers = {"Authorization": f"Bearer {service.key}"}
        self._client = httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=30)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        reply = self._client.request(method, path, **arguments)
        reply.raise_for_status()
        return reply.json()

    def write(self, store: str, key: str, version: str) -> None:
        files = {"file": (key, document(key, version).encode())}
        file = self.call("POST", "/files", data={"purpose": "assistants"}, files=files)["id"]
        request = {"file_id": file, "key": key, "attributes": {"doc": key}}
        self.call("POST", f"/vector_stores/{store}/files", json=request)

    def delete(self, store: str, key: str) -> None:
        try:
            self.call("DELETE", f"/vector_stores/{store}/documents", params={"key": key})
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:  # nothing was there
                raise

    def search(self, store: str, key: str) -> list[Any]:
        where = {"type": "eq", "key": "doc", "value": key}
        request = {"query": f"{key} says", "max_num_results": 50, "filters": where}
        return self.call("POST", f"/vector_stores/{store}/search", json=request)["data"]

    def settled(self, store: str, timeout_s: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            counts = self.call("GET", f"/vector_stores/{store}")["file_counts"]
            if counts["in_progress"] == 0:
                return counts
            time.sleep(0.1)
        raise AssertionError(f"work is stuck: {counts}")


def document(key: str, version: str) -> str:
    filler = " ".join(f"word{number}" for number in range(120))
    return "\n\n".join(f"# {key} part {part}\n\n{key} says {version}. {filler}" for part in range(SECTIONS))


def versions_in(hits: list[Any]) -> set[str]:
    return {hit["content"][0]["text"].split(" says ")[1].split(".")[0] for hit in hits}


class Reader(threading.Thread):
    """Searches for random documents and notes every answer that shows one torn: two versions of it, or a part."""

    def __init__(self, service: Any, store: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.torn: list[str] = []
        self.searches = 0
        self.stopping = threading.Event()
        self._api, self._store, self._random = Api(service), store, random.Random(seed)

    def run(self) -> None:
        with contextlib.closing(self._api):
            while not self.stopping.is_set():
                self._look(f"doc{self._random.randrange(DOCUMENTS)}.md")

    def _look(self, key: str) -> None:
        try:
            hits = self._api.search(self._store, key)
        except httpx.HTTPError:
            time.sleep(0.02)
            return
        self.searches += 1
        if len(versions_in(hits)) > 1 or len(hits) not in (0, SECTIONS):
            self.torn.append(f"{key}: {len(hits)} chunks of {versions_in(hits)}")


def children(pid: int, name: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and name in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


def strike(service: Any, fault: str) -> None:
    if fault == "service":
        service.kill()
        service.start()
        return
    if fault == "queue and its data":
        shutil.rmtree(service.home / "queue", ignore_errors=True)
    for pid in children(service.pid, "ingestion.parse.child" if fault == "parsers" else "valkey"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def work(api: Api, store: str, expected: Expected, dice: random.Random, number: int, struck: threading.Event) -> None:
    """One write or delete; while the service is struck its outcome may stay unknown."""
    key = f"doc{dice.randrange(DOCUMENTS)}.md"
    outcome = GONE if dice.random() < 0.2 else f"v{number}"
    expected.begin(key, outcome)
    try:
        if outcome == GONE:
            api.delete(store, key)
        else:
            api.write(store, key, outcome)
    except httpx.HTTPError:
        assert struck.is_set(), "the service failed a request though nothing that it cannot do without was struck"
        time.sleep(0.05)
    else:
        expected.done(key, outcome)


@pytest.mark.parametrize("strikes", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_what_was_acknowledged_holds(make_service: Any, strikes: int) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))
    dice = random.Random(seed)
    faults = [*dict.fromkeys(FAULTS), *(dice.choice(FAULTS) for _ in range(strikes))][:strikes]
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256", CITEWELL_WORKER__LEASE_S="2")
    api, expected, struck = Api(service), Expected(), threading.Event()
    store = api.call("POST", "/vector_stores", json={"name": "faults"})["id"]
    reader = Reader(service, store, seed)
    reader.start()
    number = 0
    for fault in faults:
        if fault == "service":
            struck.set()
        striker = threading.Timer(dice.uniform(0.05, 1.5), strike, (service, fault))
        striker.start()
        while striker.is_alive():
            number += 1
            work(api, store, expected, dice, number, struck)
        struck.clear()
    counts = api.settled(store)
    reader.stopping.set()
    reader.join()
    print(f"seed {seed}: {strikes} strikes, {number} writes and deletes, {reader.searches} searches")
    assert reader.torn == []
    assert counts["failed"] == counts["cancelled"] == 0
    for key in sorted(expected.unsure):
        hits = api.search(store, key)
        shown = next(iter(versions_in(hits)), GONE)
        assert shown in expected.may_be(key), f"{key} shows {shown}, not one of {expected.may_be(key)}"
    assert_nothing_doubled(service, api, store)


def wait_until_clean(service: Any, timeout_s: float = 90) -> None:
    """What was superseded or deleted is erased at once, or by the reconciler when a killed eraser's lease has ended."""
    left = "SELECT count(*) FROM revisions WHERE state = 'deleted' OR (has_points AND state != 'current')"
    deadline = time.monotonic() + timeout_s
    with contextlib.closing(sqlite3.connect(service.home / "catalog.db")) as catalog:
        while catalog.execute(left).fetchone()[0]:
            assert time.monotonic() < deadline, "what nobody may see is never erased"
            time.sleep(0.1)


def assert_nothing_doubled(service: Any, api: Api, store: str) -> None:
    """Look into the engine itself: the points of current revisions, each once, and no others."""
    (version,) = api.call("GET", f"/vector_stores/{store}/index_versions")["data"]
    base = f"/vector_stores/{store}/documents"
    expected = {
        chunk["id"]
        for document in api.call("GET", base, params={"limit": 100})["data"]
        for chunk in api.call("GET", f"{base}/chunks", params={"key": document["key"]})["data"]
    }
    api.close()
    wait_until_clean(service)
    assert service.stop() == 0
    manifest = Manifest.from_json(version["manifest"])
    engine = QdrantEdgeEngine(QdrantEdgeEngineSettings(), Path(service.home) / "vectors")
    index = engine.open(version["id"], manifest)
    found = [match.chunk_id for match in index.lexical(Analyser(manifest.lexical).query("says"), 10_000)]
    engine.close()
    assert len(found) == len(set(found))
    assert set(found) == expected
