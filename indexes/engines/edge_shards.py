"""The shards that are open at this moment: a bounded number, the one used longest ago closed first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qdrant_edge import EdgeShard


@dataclass(slots=True)
class _Open:
    shard: EdgeShard
    users: int = 0
    retired: bool = False


class OpenShards:
    """Lends shards by the folder of their version.

    A shard is closed only while nobody uses it. Every call of qdrant_edge holds the GIL from start to end, so loading
    inside the lock keeps nobody waiting who could have run.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, _Open] = OrderedDict()

    @contextmanager
    def lease(self, folder: Path, load: Callable[[], EdgeShard]) -> Iterator[EdgeShard]:
        """The version's shard, opened by `load` if need be; it stays open until the block ends."""
        with self._lock:
            if folder not in self._open:
                self._open[folder] = _Open(load())
            entry = self._open[folder]
            entry.users += 1
            self._open.move_to_end(folder)
            self._close_idle()
        try:
            yield entry.shard
        finally:
            with self._lock:
                entry.users -= 1
                self._close_retired(entry)

    def replace(self, folder: Path, shard: EdgeShard, record: Callable[[], None]) -> None:
        """From now on lend this shard; the old one closes after its last use. `record` makes that known to `load`."""
        with self._lock:
            record()
            self._retire(folder)
            self._open[folder] = _Open(shard)

    def discard(self, folder: Path) -> None:
        """Close the version's shard after its last use."""
        with self._lock:
            self._retire(folder)

    def close(self) -> None:
        """Close every shard, each after its last use."""
        with self._lock:
            for folder in list(self._open):
                self._retire(folder)

    def _close_idle(self) -> None:
        idle = [folder for folder, entry in self._open.items() if entry.users == 0]
        for folder in idle[: max(0, len(self._open) - self._limit)]:
            self._retire(folder)

    def _retire(self, folder: Path) -> None:
        if entry := self._open.pop(folder, None):
            entry.retired = True
            self._close_retired(entry)

    @staticmethod
    def _close_retired(entry: _Open) -> None:
        if entry.retired and entry.users == 0:
            entry.shard.close()
