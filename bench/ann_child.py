"""One rival in processes of its own, so that its memory is its own: one builds it, one is measured whenever asked."""

import contextlib
import multiprocessing
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench.ann_data import Collection
from bench.ann_rivals import Rival, rivals

RECALL = 0.97
"""A rival gets the smallest effort that reaches it, and its largest where none does."""

_TUNING = 100  # queries by which efforts are chosen
_CROWD_S = 0.5


@dataclass(frozen=True, slots=True)
class Opened:
    """What it takes while it serves, and the effort it needs for each filter."""

    anonymous_mib: float
    mapped_mib: float
    disk_mib: float
    efforts: dict[float, int]

    @property
    def memory_mib(self) -> float:
        """Of both kinds."""
        return self.anonymous_mib + self.mapped_mib


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: seconds of each query, and how many of the true neighbours were found."""

    seconds: list[float]
    recall: float

    @property
    def p50_ms(self) -> float:
        """Of this turn."""
        return float(np.median(self.seconds)) * 1e3


class Child:
    """The other end of the pipe."""

    def __init__(self, name: str, connection: Connection, process: multiprocessing.process.BaseProcess) -> None:
        self.name = name
        self._connection = connection
        self._process = process

    def opened(self) -> Opened:
        """Waits until it serves."""
        opened: Opened = self._connection.recv()
        return opened

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


def is_built(name: str, folder: Path) -> bool:
    """Whether an earlier run built it to its end."""
    return _note(name, folder).exists()


def build(name: str, collection: Collection, folder: Path) -> float:
    """Seconds that it took, or had taken an earlier run."""
    note = _note(name, folder)
    if not note.exists():
        shutil.rmtree(note.parent, ignore_errors=True)
        note.parent.mkdir(parents=True)
        process = multiprocessing.get_context("spawn").Process(target=_build, args=(name, collection, note))
        process.start()
        process.join()
    return float(note.read_text())


@contextlib.contextmanager
def child(name: str, collection: Collection, folder: Path) -> Iterator[Child]:
    """A process for the length of the block, which serves what was built."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, collection, _note(name, folder).parent, theirs), daemon=True)
    process.start()
    theirs.close()
    one = Child(name, ours, process)
    try:
        yield one
    finally:
        if process.is_alive():
            one.end()


def _note(name: str, folder: Path) -> Path:
    """Says how many seconds it took, beside what was built."""
    return folder / name.replace(" ", "-") / "seconds"


def _build(name: str, collection: Collection, note: Path) -> None:
    rival = rivals(len(collection.levels))[name]
    began = time.perf_counter()
    rival.build(collection, note.parent)
    note.write_text(str(time.perf_counter() - began))


def _serve(name: str, collection: Collection, folder: Path, connection: Connection) -> None:
    rival = rivals(len(collection.levels))[name]
    before = _resident()
    rival.open(collection, folder)
    asked = _Asked(rival, collection)
    efforts = {share: asked.effort(share) for share in rival.shares}
    grown = [(now - then) / 1024 for now, then in zip(_resident(), before, strict=True)]
    disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    connection.send(Opened(grown[0], grown[1], disk / 2**20, efforts))
    while True:
        match connection.recv():
            case ("one", share):
                connection.send(asked.measure(share, efforts[share]) if share in rival.shares else None)
            case ("crowd", clients):
                connection.send(asked.crowd(clients, efforts[1.0]))
            case _:
                return


class _Asked:
    """A rival that is open, with questions and the right answers."""

    def __init__(self, rival: Rival, collection: Collection) -> None:
        self._rival = rival
        self._queries = [np.array(query) for query in collection.queries]
        self._nearest = {share: collection.nearest(share) for share in rival.shares}

    def effort(self, share: float) -> int:
        """The smallest that finds enough."""
        first = max(0, len(self._queries) - _TUNING)
        for effort in self._rival.efforts:
            if self.measure(share, effort, first).recall >= RECALL:
                return effort
        return self._rival.efforts[-1] if self._rival.efforts else 0

    def measure(self, share: float, effort: int, first: int = 0) -> Measured:
        """All queries, or those from `first` on."""
        seconds, hits, wanted = [], 0, 0
        for query, nearest in zip(self._queries[first:], self._nearest[share][first:], strict=True):
            began = time.perf_counter()
            found = self._rival.search(query, share, effort)
            seconds.append(time.perf_counter() - began)
            hits += len(nearest & {one[0] for one in found})
            wanted += len(nearest)
        return Measured(seconds, hits / wanted)

    def crowd(self, clients: int, effort: int) -> float:
        """Queries a second of so many threads, without a filter."""
        done, stop = [0] * clients, threading.Event()

        def ask(client: int) -> None:
            at = int(np.random.default_rng(client).integers(len(self._queries)))
            while not stop.is_set():
                self._rival.search(self._queries[(at + done[client]) % len(self._queries)], 1.0, effort)
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
