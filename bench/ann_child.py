"""One rival in a process of its own, so that its memory is its own: built once, then measured whenever it is asked."""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench.ann_data import LIMIT, Collection
from bench.ann_rivals import Rival, rivals

RECALL = 0.97
"""A rival gets the smallest effort that reaches it, and its largest where none does."""

_TUNING = 100  # queries by which efforts are chosen
_CROWD_S = 1.0


@dataclass(frozen=True, slots=True)
class Built:
    """What it took."""

    seconds: float
    anonymous_mib: float
    mapped_mib: float
    disk_mib: float
    efforts: dict[float, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: seconds of each query, and how many of the true neighbours were found."""

    seconds: list[float]
    recall: float


class Child:
    """The other end of the pipe."""

    def __init__(self, name: str, connection: Connection, process: multiprocessing.process.BaseProcess) -> None:
        self.name = name
        self._connection = connection
        self._process = process

    def built(self) -> Built:
        """Waits for the building."""
        built: Built = self._connection.recv()
        return built

    def measure(self, share: float) -> Measured | None:
        """One query after another; None where it cannot filter."""
        self._connection.send(("one", share))
        measured: Measured | None = self._connection.recv()
        return measured

    def crowd(self, clients: int) -> float:
        """Queries a second of so many threads, without a filter."""
        self._connection.send(("crowd", clients))
        rate: float = self._connection.recv()
        return rate

    def end(self) -> None:
        """Stops the process."""
        with contextlib.suppress(OSError):  # it has ended with an error of its own
            self._connection.send(("end", 0))
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()


@contextlib.contextmanager
def child(name: str, collection: Collection, folder: Path) -> Iterator[Child]:
    """A process for the length of the block; it begins to build at once."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, collection, folder, theirs), daemon=True)
    process.start()
    theirs.close()
    one = Child(name, ours, process)
    try:
        yield one
    finally:
        if process.is_alive():
            one.end()


def _serve(name: str, collection: Collection, folder: Path, connection: Connection) -> None:
    rival = rivals(len(collection.levels))[name]
    folder.mkdir(parents=True)
    before = _resident()
    began = time.perf_counter()
    rival.build(collection.vectors, collection.levels, folder)
    seconds = time.perf_counter() - began
    efforts = {share: _effort(rival, collection, share) for share in rival.shares}
    after = _resident()
    disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    grown = [(now - then) / 1024 for now, then in zip(after, before, strict=True)]
    connection.send(Built(seconds, grown[0], grown[1], disk / 2**20, efforts))
    while True:
        match connection.recv():
            case ("one", share):
                known = share in rival.shares
                connection.send(_measure(rival, collection, share, efforts[share]) if known else None)
            case ("crowd", clients):
                connection.send(_crowd(rival, collection, clients, efforts[1.0]))
            case _:
                return


def _measure(rival: Rival, collection: Collection, share: float, effort: int, first: int = 0) -> Measured:
    seconds, hits = [], 0
    truth = collection.truth[share]
    queries = range(first, len(collection.queries))
    for number in queries:
        query = collection.queries[number]
        began = time.perf_counter()
        found = rival.search(query, share, effort)
        seconds.append(time.perf_counter() - began)
        hits += len(rival.rows(found) & set(truth[number].tolist()))
    return Measured(seconds, hits / (len(queries) * min(LIMIT, truth.shape[1])))


def _effort(rival: Rival, collection: Collection, share: float) -> int:
    first = max(0, len(collection.queries) - _TUNING)
    for effort in rival.efforts:
        if _measure(rival, collection, share, effort, first).recall >= RECALL:
            return effort
    return rival.efforts[-1] if rival.efforts else 0


def _crowd(rival: Rival, collection: Collection, clients: int, effort: int) -> float:
    done, stop = [0] * clients, threading.Event()

    def ask(client: int) -> None:
        at = np.random.default_rng(client).integers(len(collection.queries))
        while not stop.is_set():
            rival.search(collection.queries[(at + done[client]) % len(collection.queries)], 1.0, effort)
            done[client] += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(_CROWD_S)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def _resident() -> tuple[int, int]:
    """KiB of memory of its own, and of mapped files."""
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts["RssAnon"].split()[0]), int(facts["RssFile"].split()[0])
