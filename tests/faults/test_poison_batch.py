"""No file of a batch waits behind a poison file, and no store behind another's batch.

The parser children of a real service do what hostile bytes could make them do: hang, crash, take memory until there
is none. `make faults` runs it with 5,000 files and prints what such a batch costs the service meanwhile.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
# Read by Python at the start of each parser child: the bytes say what becomes of whoever reads them.
POISONED_PARSER = """
import sys
if "ingestion.parse.child" in sys.orig_argv:
    import os, signal, time
    import ingestion.parse
    whole = ingestion.parse.parse
    def parse(path, *rest):
        kind = path.read_bytes()[:12].split()[0]
        if kind == b"hang":
            time.sleep(3600)
        if kind == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == b"memory":
            taken = []
            while True:
                taken.append(bytearray(64 << 20))
        return whole(path, *rest)
    ingestion.parse.parse = parse
"""
EXPECTED = {"hang": "parse_timeout", "crash": "parse_crashed", "memory": "parse_memory"}


class Api:
    """The service as an app sees it."""

    def __init__(self, service: Any) -> None:
        headers = {"Authorization": f"Bearer {service.key}"}
        limits = httpx.Limits(max_connections=32)
        self._client = httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=120, limits=limits)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        return self._client.request(method, path, **arguments).raise_for_status().json()

    def upload(self, name: str, text: str) -> str:
        files = {"file": (name, text.encode())}
        return self.call("POST", "/files", data={"purpose": "assistants"}, files=files)["id"]

    def batches(self, store: str, files: list[str]) -> list[str]:
        """As many batches as the limit of one asks for."""
        base = f"/vector_stores/{store}/file_batches"
        parts = [files[first : first + 2000] for first in range(0, len(files), 2000)]
        return [self.call("POST", base, json={"file_ids": part})["id"] for part in parts]

    def counts(self, store: str) -> dict[str, int]:
        return self.call("GET", f"/vector_stores/{store}")["file_counts"]

    def failed(self, store: str) -> list[Any]:
        return self.call("GET", f"/vector_stores/{store}/files", params={"filter": "failed", "limit": 100})["data"]


class Polls(threading.Thread):
    """An owner who looks all the time, and how long each look took."""

    def __init__(self, api: Api, store: str, batches: list[str]) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.took_ms: dict[str, list[float]] = {}
        self._api = api
        base = f"/vector_stores/{store}"
        self._paths = {"store": base, "batch": f"{base}/file_batches/{batches[-1]}", "files": f"{base}/files?limit=100"}

    def run(self) -> None:
        while not self.stopping.wait(0.5):
            for name, path in self._paths.items():
                began = time.perf_counter()
                self._api.call("GET", path)
                self.took_ms.setdefault(name, []).append((time.perf_counter() - began) * 1000)


@contextmanager
def figures(service: Any, api: Api, store: str, batches: list[str]) -> Iterator[dict[str, Any]]:
    """What the service took meanwhile: memory, and the time of progress polls."""
    polls, found = Polls(api, store, batches), {}
    polls.start()
    yield found
    polls.stopping.set()
    polls.join()
    for name, took_ms in polls.took_ms.items():
        ordered = sorted(took_ms)
        found[f"poll of {name}, ms: p50, max"] = [round(ordered[len(ordered) // 2]), round(ordered[-1])]
    found["rss_mb"] = psutil.Process(service.pid).memory_info().rss >> 20


def until_settled(api: Api, store: str, done: int, timeout_s: float) -> dict[str, int]:
    """Wait until so many files of a store have come to an end."""
    deadline = time.monotonic() + timeout_s
    while (counts := api.counts(store))["total"] - counts["in_progress"] < done:
        assert time.monotonic() < deadline, f"work is stuck: {counts}"
        time.sleep(0.1)
    return counts


@pytest.mark.parametrize(
    ("files", "hanging", "parse_s"), [(150, 3, 600), pytest.param(5000, 20, 30, marks=pytest.mark.slow)]
)
def test_no_file_waits_behind_a_poison_file(
    make_service: Any, tmp_path: Path, files: int, hanging: int, parse_s: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(POISONED_PARSER)
    service = make_service(
        PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}",
        CITEWELL_EMBEDDING__MODEL="hashing-256",
        CITEWELL_WORKER__PARSE_S=str(parse_s),
        CITEWELL_WORKER__PARSE_MEMORY_MB="1024",
        CITEWELL_WORKER__RETRY_DELAY_S="0.2",
    )
    with closing(Api(service)) as api:
        outlive(api, service, files, hanging, parse_s)


def outlive(api: Api, service: Any, files: int, hanging: int, parse_s: int) -> None:
    """The healthy files of a batch come to their end before the poison has, or has been given up."""
    store, other = (api.call("POST", "/vector_stores", json={"name": name})["id"] for name in ("batch", "single"))
    # The poison comes first: whoever waits behind something waits behind it.
    poison = ["hang"] * hanging + ["crash", "memory"] * (hanging // 2 + 1)
    texts = [f"{kind} {number}" for number, kind in enumerate(poison)]
    texts += [f"File {number} says hello. {'word ' * 60}" for number in range(files - len(texts))]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(api.upload, (f"{number}.md" for number in range(files)), texts))
    uploaded_s, began = time.monotonic() - began, time.monotonic()
    batches = api.batches(store, ids)
    attached_s, began = time.monotonic() - began, time.monotonic()
    with figures(service, api, store, batches) as found:
        single = api.upload("single.md", "Alone in its store.")
        api.call("POST", f"/vector_stores/{other}/files", json={"file_id": single})
        until_settled(api, other, 1, timeout_s=60)
        # Fair share: a batch of thousands delays another store's upload by a document or two.
        assert api.counts(store)["in_progress"] > files // 3
        single_s = time.monotonic() - began
        while (counts := api.counts(store))["completed"] < files - len(poison):
            assert time.monotonic() - began < 120 + files / 2, f"the healthy are stuck: {counts}"
            time.sleep(0.1)
        healthy_s = time.monotonic() - began
    ended = files
    if parse_s > healthy_s:  # then what hangs is still being tried
        assert until_settled(api, store, files - hanging, timeout_s=60)["in_progress"] == hanging
        api.call("POST", f"/vector_stores/{store}/file_batches/{batches[0]}/cancel")
        ended -= hanging
    counts = until_settled(api, store, files, timeout_s=120 + parse_s * hanging)
    found |= {
        "files": files,
        "poison": len(poison),
        "upload_s": round(uploaded_s, 1),
        "attach_s": round(attached_s, 1),
        "other_store_s": round(single_s, 1),
        "healthy_s": round(healthy_s, 1),
        "all_s": round(time.monotonic() - began, 1),
    }
    print(json.dumps(found))
    assert (counts["completed"], counts["completed"] + counts["failed"]) == (files - len(poison), ended)
    for failed in api.failed(store):
        kind = texts[int(failed["key"].removesuffix(".md"))].split()[0]
        assert failed["error"]["code"] == EXPECTED[kind]
        assert len(failed["last_error"]["message"]) > 20
