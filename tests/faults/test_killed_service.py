"""kill -9 at seeded random points of an ingest: what was acknowledged completes, whole and once (I1, I2, I3, I4).

One writer uploads and supersedes; one reader searches all the time; the service is killed and started again. The plain
suite runs a few kills, `make faults` many. The seed is printed; set CITEWELL_SEED to repeat a run.
"""

import os
import random
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


@dataclass
class Expected:
    """What the service has acknowledged, and what it may have done without our knowing."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, set[str]] = field(default_factory=dict)

    def may_hold(self, key: str) -> set[str]:
        return self.unsure.get(key, set()) | ({self.acknowledged[key]} if key in self.acknowledged else set())


class Api:
    """Plain HTTP, so that nothing is retried behind our back."""

    def __init__(self, service: Any) -> None:
        self._client = httpx.Client(
            base_url=f"{service.url}/v1", headers={"Authorization": f"Bearer {service.key}"}, timeout=30
        )

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        reply = self._client.request(method, path, **arguments)
        reply.raise_for_status()
        return reply.json()

    def upload(self, name: str, text: str) -> str:
        return self.call("POST", "/files", data={"purpose": "assistants"}, files={"file": (name, text.encode())})["id"]


def document(key: str, version: str) -> str:
    filler = " ".join(f"word{number}" for number in range(120))
    return "\n\n".join(f"# {key} part {part}\n\n{key} says {version}. {filler}" for part in range(SECTIONS))


def versions_in(hits: list[Any], key: str) -> set[str]:
    return {hit["content"][0]["text"].split(" says ")[1].split(".")[0] for hit in hits if hit["key"] == key}


class Reader(threading.Thread):
    """Searches for random documents and notes every answer that mixes two versions of one."""

    def __init__(self, service: Any, store: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.torn: list[str] = []
        self.searches = 0
        self.stopping = threading.Event()
        self._api, self._store, self._random = Api(service), store, random.Random(seed)

    def run(self) -> None:
        while not self.stopping.is_set():
            key = f"doc{self._random.randrange(DOCUMENTS)}.md"
            try:
                hits = search(self._api, self._store, key)
            except httpx.HTTPError:
                time.sleep(0.02)
                continue
            self.searches += 1
            seen = versions_in(hits, key)
            if len(seen) > 1 or len(hits) not in (0, SECTIONS):
                self.torn.append(f"{key}: {len(hits)} chunks of {seen}")
        self._api.close()


def search(api: Api, store: str, key: str) -> list[Any]:
    request = {
        "query": f"{key} says",
        "max_num_results": 50,
        "filters": {"type": "eq", "key": "doc", "value": key},
    }
    return api.call("POST", f"/vector_stores/{store}/search", json=request)["data"]


def write(api: Api, store: str, expected: Expected, key: str, version: str) -> None:
    text = document(key, version)
    expected.unsure.setdefault(key, set()).add(version)
    file = api.upload(key, text)
    api.call("POST", f"/vector_stores/{store}/files", json={"file_id": file, "key": key, "attributes": {"doc": key}})
    expected.acknowledged[key] = version
    expected.unsure[key] = set()


def settled(api: Api, store: str, timeout_s: float = 90) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        counts = api.call("GET", f"/vector_stores/{store}")["file_counts"]
        if counts["in_progress"] == 0:
            return counts
        time.sleep(0.1)
    raise AssertionError(f"work is stuck: {counts}")


@pytest.mark.parametrize("kills", [4, pytest.param(150, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives(make_service: Any, kills: int) -> None:
    seed = int(os.environ.get("CITEWELL_SEED", random.randrange(10**6)))
    print(f"seed {seed}, {kills} kills")
    dice = random.Random(seed)
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256", CITEWELL_WORKER__LEASE_S="2")
    api = Api(service)
    store = api.call("POST", "/vector_stores", json={"name": "faults"})["id"]
    expected, version = Expected(), 0
    reader = Reader(service, store, seed)
    reader.start()
    for _ in range(kills):
        stop_at = time.monotonic() + dice.uniform(0.05, 1.5)
        killer = threading.Timer(stop_at - time.monotonic(), service.kill)
        killer.start()
        while killer.is_alive():
            version += 1
            try:
                write(api, store, expected, f"doc{dice.randrange(DOCUMENTS)}.md", f"v{version}")
            except httpx.HTTPError:
                break
        killer.join()
        service.start()
    counts = settled(api, store)
    reader.stopping.set()
    reader.join()
    print(f"{version} writes, {reader.searches} searches")
    assert reader.torn == []
    assert counts["failed"] == counts["cancelled"] == 0
    for key in expected.acknowledged:
        hits = search(api, store, key)
        assert len(hits) == SECTIONS, f"{key} has {len(hits)} chunks"
        assert versions_in(hits, key) <= expected.may_hold(key)
    assert_nothing_doubled(service, api, store)


def assert_nothing_doubled(service: Any, api: Api, store: str) -> None:
    """Look into the engine itself: the points of current revisions, each once, and no others."""
    (version,) = api.call("GET", f"/vector_stores/{store}/index_versions")["data"]
    base = f"/vector_stores/{store}/documents"
    documents = api.call("GET", base, params={"limit": 100})["data"]
    expected = {
        chunk["id"]
        for document in documents
        for chunk in api.call("GET", f"{base}/chunks", params={"key": document["key"]})["data"]
    }
    api.close()
    time.sleep(3)  # superseded points are erased right after their successor completes, or by the reconciler
    assert service.stop() == 0
    engine = QdrantEdgeEngine(QdrantEdgeEngineSettings(), Path(service.home) / "vectors")
    manifest = Manifest.from_json(version["manifest"])
    index = engine.open(version["id"], manifest)
    found = [match.chunk_id for match in index.lexical(Analyser(manifest.lexical).query("says"), 10_000)]
    engine.close()
    assert len(found) == len(set(found))
    assert set(found) == expected
