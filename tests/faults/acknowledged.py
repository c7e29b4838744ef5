"""What a service has acknowledged, and what it must hold and show for it whatever is killed when (I1-I4).

One `Writer` uploads, supersedes and deletes and keeps the `Ledger`; `Reader`s search all the time and note what they
must never see; `verdict` compares what is there in the end with the ledger. None of them knows which processes make up
the installation, or which of them is struck: a `Door` says when requests through it may fail.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.installation import Door, Installation

DOCUMENTS = 12
SECTIONS = 3
GONE = 0
"""The version of what is not there; those of documents count from 1."""


@dataclass
class Entry:
    """One key: what was acknowledged of it last, and what may have been done since without our knowing."""

    version: int = GONE
    unsure: set[int] = field(default_factory=set)
    file_ids: list[str] = field(default_factory=list)
    """Attached, and acknowledged, since a delete of the key was last begun."""
    deletes: int = 0
    """Begun or ended: odd while one is on its way."""

    def may_be(self) -> set[int]:
        return self.unsure | {self.version}


class Ledger:
    """What was acknowledged, by key, and the bytes of every upload that was, by file id."""

    def __init__(self) -> None:
        self.entries = {f"doc{number}.md": Entry() for number in range(DOCUMENTS)}
        self.uploads: dict[str, bytes] = {}


class Client:
    """Plain HTTP through one door, so that nothing is retried behind our back."""

    def __init__(self, door: Door, store: str = "") -> None:
        self.door, self.store = door, store
        headers = {"Authorization": f"Bearer {door.key}"}
        self._client = httpx.Client(base_url=f"{door.url}/v1", headers=headers, timeout=60)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._client.request(method, path, **arguments).raise_for_status()

    def of_store(self, method: str, path: str, **arguments: Any) -> Any:
        return self.call(method, f"/vector_stores/{self.store}{path}", **arguments).json()

    def create_store(self) -> str:
        self.store = self.call("POST", "/vector_stores", json={"name": "faults"}).json()["id"]
        return self.store

    def upload(self, key: str, content: bytes) -> str:
        form = {"data": {"purpose": "assistants"}, "files": {"file": (key, content)}}
        return self.call("POST", "/files", **form).json()["id"]

    def search(self, key: str) -> list[Any]:
        where = {"type": "eq", "key": "doc", "value": key}
        request = {"query": f"{key} says", "max_num_results": 50, "filters": where}
        return self.of_store("POST", "/search", json=request)["data"]

    def listed(self, path: str) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = self.call("GET", path, params={"limit": 100, **after}).json()
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}


def document(key: str, version: int) -> bytes:
    filler = " ".join(f"word{number}" for number in range(120))
    sections = (f"# {key} part {part}\n\n{key} says {version}. {filler}" for part in range(SECTIONS))
    return "\n\n".join(sections).encode()


def versions_in(hits: list[Any]) -> set[int]:
    return {int(hit["content"][0]["text"].split(" says ")[1].split(".")[0]) for hit in hits}


class Writer:
    """One write or delete at a time, through any door that is open. What it must never see ends the test at once."""

    def __init__(self, installation: Installation, store: str, ledger: Ledger, dice: random.Random) -> None:
        self.operations = 0
        self._clients = [Client(door, store) for door in installation.doors]
        self._ledger, self._dice = ledger, dice

    def work(self) -> None:
        """While something is struck the outcome may stay unknown."""
        self.operations += 1
        key = self._dice.choice(list(self._ledger.entries))
        entry = self._ledger.entries[key]
        version = GONE if self._dice.random() < 0.2 else self.operations
        client = self._dice.choice([one for one in self._clients if not one.door.closed] or self._clients)
        entry.unsure.add(version)
        begun = time.monotonic()
        try:
            if version == GONE:
                self._delete(client, key, entry)
            else:
                self._write(client, key, entry, version)
        except (httpx.HTTPStatusError, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            reason = getattr(error, "response", None)
            assert client.door.was_closed_since(begun), f"{error!r} {reason and reason.text}, with nothing to excuse it"
            time.sleep(0.05)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _write(self, client: Client, key: str, entry: Entry, version: int) -> None:
        content = document(key, version)
        file_id = client.upload(key, content)
        self._ledger.uploads[file_id] = content
        client.of_store("POST", "/files", json={"file_id": file_id, "key": key, "attributes": {"doc": key}})
        entry.version, entry.unsure = version, set()
        entry.file_ids.append(file_id)

    def _delete(self, client: Client, key: str, entry: Entry) -> None:
        entry.file_ids = []
        entry.deletes += 1
        try:
            client.of_store("DELETE", "/documents", params={"key": key})
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:  # nothing was there
                raise
        finally:
            entry.deletes += 1
        entry.version, entry.unsure = GONE, set()
        assert client.search(key) == [], f"{key} is found after its delete was acknowledged"


@dataclass(frozen=True)
class _Seen:
    version: int
    deletes: int


class Reader(threading.Thread):
    """Searches for random documents and notes every answer that shows one torn.

    That is: two versions of it, a part of one, an older one than before, or none where it was never deleted.
    """

    def __init__(self, door: Door, store: str, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True)
        self.torn: list[str] = []
        self.failed: list[str] = []
        self.took_s: list[tuple[float, float]] = []
        """When each search began, by the monotonic clock, and how long it took."""
        self.stopping = threading.Event()
        self._client, self._ledger, self._random = Client(door, store), ledger, random.Random(seed)
        self._seen: dict[str, _Seen] = {}

    @property
    def searches(self) -> int:
        """How many were answered."""
        return len(self.took_s)

    def run(self) -> None:
        with contextlib.closing(self._client):
            while not self.stopping.is_set():
                self._look(self._random.choice(list(self._ledger.entries)))

    def _look(self, key: str) -> None:
        begun, entry = time.monotonic(), self._ledger.entries[key]
        deletes = entry.deletes
        try:
            hits = self._client.search(key)
        except httpx.HTTPError as error:
            if not self._client.door.was_closed_since(begun):
                self.failed.append(repr(error))
            time.sleep(0.02)
            return
        self.took_s.append((begun, time.monotonic() - begun))
        if len({hit["index_version"] for hit in hits}) > 1:
            self.torn.append(f"{key}: hits of several index versions")
        found, seen = versions_in(hits), self._seen.get(key)
        if len(found) > 1 or len(hits) not in (0, SECTIONS):
            self.torn.append(f"{key}: {len(hits)} chunks of {found}")
        elif found:
            self._seen[key] = _Seen(found.pop(), deletes)
            if seen and self._seen[key].version < seen.version:
                self.torn.append(f"{key}: {self._seen[key].version} after {seen.version}")
        elif seen and seen.deletes % 2 == 0 and seen.deletes == entry.deletes:
            self.torn.append(f"{key}: nothing after {seen.version}, and nobody deleted it")


@contextlib.contextmanager
def reading(installation: Installation, store: str, ledger: Ledger, seed: int) -> Iterator[list[Reader]]:
    """A reader at every door during the block."""
    readers = [Reader(door, store, ledger, seed + number) for number, door in enumerate(installation.doors)]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stopping.set()
        for reader in readers:
            reader.join()
