"""One index version of the embedded engine: its open shard, its writes, and the change to an optimised copy."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from qdrant_edge import EdgeConfig, EdgeShard, PayloadSchemaType, UpdateOperation

from indexes.engines.edge_failures import foreign, is_outage, read_through
from indexes.engines.edge_files import (
    Current,
    EdgeFiles,
    damaged,
    erase,
    read_current,
    size_bytes,
    sync_log,
    write_current,
)
from indexes.engines.edge_shards import OpenShards
from indexes.engines.points import NUMBER_FIELDS
from indexes.errors import IndexDamaged, Unavailable
from indexes.room import MEBIBYTE, require_room

_FLUSH_POINTS = 10_000  # written between two flushes; after a crash replaying their log takes about a second
_JOURNAL_POINTS = 20_000  # about 60 MB of writes remembered while a copy is optimised
_JUDGE_EVERY_S = 60.0  # reading a shard through is a burden that a search which always fails must not make
_SMALL_POINTS = 2_000  # below this an index on a field takes under 20 ms, and so may be made at once

ROOM_BYTES = 128 * MEBIBYTE
"""What must be free before a shard is opened or written to. It writes to mapped files, which it extends by up to 32 MB:
where the disk turns out to be full then, the kernel ends the process (SIGBUS). Several threads may pass at once."""


@dataclass(frozen=True, slots=True)
class Write:
    """Operations to apply in order; how many points they touch; the number fields that these points have."""

    operations: Iterable[UpdateOperation]
    points: int
    number_fields: frozenset[str] = frozenset()


class EdgeVersion:
    """The shard of one version, for any number of threads. Raises IndexDamaged where it has none that can be read.

    Writes go one at a time. A write is durable once the shard's log is synced: one file, without the GIL. Flushing the
    shard itself syncs some forty files while holding the GIL, so that is done seldom. `optimise` works on a copy:
    searches go on, writes wait only while the copy is made and while what was written meanwhile is repeated on it.
    """

    def __init__(
        self, folder: Path, config: EdgeConfig, files: EdgeFiles, shards: OpenShards, optimise_after: int
    ) -> None:
        self.folder = folder
        self._config = config
        self._files = files
        self._shards = shards
        self._optimise_after = optimise_after
        self._writing = threading.Lock()
        self._current = read_current(folder)
        self._changed: int | None = None  # not known until the shard was open once
        self._unflushed = 0
        self._journal: list[UpdateOperation] | None = None
        self._journal_points = 0
        self._indexed: set[str] = set()
        self._wanted: set[str] = set()
        self._closed = False
        self._judged_at = -_JUDGE_EVERY_S
        self._damage: str | None = None
        self._erase_unused()

    @contextmanager
    def reading(self) -> Iterator[EdgeShard]:
        """The shard, open for the length of the block.

        Raises NotFound after a drop, IndexDamaged where it cannot be read, and Unavailable where it fails otherwise.
        """
        if self._damage is not None:
            raise damaged(self.folder.name, self._damage)
        try:
            with self._shards.lease(self.folder, self._load) as shard:
                yield shard
        except BaseException as error:
            if not foreign(error):
                raise
            raise self._judged(error) from error

    def write(self, write: Write) -> None:
        """Apply the operations. Durable when it returns. Raises StorageFull where the disk has not room enough."""
        with self._writing, self.reading() as shard:
            for operation in chain(self._new_indexes(shard, write.number_fields), write.operations):
                require_room(self.folder, ROOM_BYTES)
                shard.update(operation)
                if self._journal is not None:
                    self._journal.append(operation)
            sync_log(self.folder / self._current.shard)
            self._unflushed += write.points
            if self._unflushed > _FLUSH_POINTS:
                self._flush(shard)
            self._changed = (self._changed or 0) + write.points
            self._journal_points += write.points
            if self._journal_points > _JOURNAL_POINTS:
                self._journal = None

    @property
    def has_graph(self) -> bool:
        """Whether an approximate search is possible; without a graph every search is exact."""
        return self._current.optimised_points > 0

    def due(self) -> bool:
        """Whether enough has changed since the graph was built to build it anew."""
        return (self._changed or 0) >= max(self._optimise_after, self._current.optimised_points // 4)

    def optimise(self, build: Callable[[Path, list[str]], None]) -> bool:
        """Let `build` optimise a copy of the shard (it gets the path and the number fields to index), then use that.

        False if too much was written meanwhile to repeat: try again later.
        """
        work = self._files.work()
        copy = work / "shard"
        try:
            points, changed, wanted = self._copy_to(copy)
            build(copy, wanted)
            return self._adopt(copy, points, changed)
        finally:
            with self._writing:
                self._journal = None
            erase(work)

    def close(self) -> None:
        """End the use of this version once what writes to it has finished: its files are to go, or are gone."""
        with self._writing:
            self._closed = True
            self._journal, self._changed = None, None
            self._shards.discard(self.folder)

    def _erase_unused(self) -> None:
        """Shards that a kill left between two steps of `_adopt`."""
        for shard in self.folder.glob("shard-*"):
            if shard.name != self._current.shard:
                erase(shard)

    def _judged(self, error: BaseException) -> Unavailable:
        """What an error in use means: damage only where the shard, loaded anew, cannot be read through either.

        What fails for one search alone may be that search's fault, and must not cost a whole index.
        """
        failed = Unavailable(f"The vectors of index version {self.folder.name} do not answer: {error}. Try again.")
        if is_outage(error) or time.monotonic() < self._judged_at + _JUDGE_EVERY_S:
            return failed
        self._judged_at = time.monotonic()
        self._shards.discard(self.folder)
        try:
            with self._shards.lease(self.folder, self._load) as shard:
                read_through(shard)
        except IndexDamaged as damage:
            return damage
        except BaseException as again:
            if not foreign(again):
                raise
            if not is_outage(again):
                self._damage = f"its points cannot be read ({again})"
                return damaged(self.folder.name, self._damage)
        return failed

    def _load(self) -> EdgeShard:
        if self._closed:  # another object may have the same folder by now
            read_current(self.folder)
            raise Unavailable(f"Index version {self.folder.name} was made anew meanwhile. Try again.")
        self._current = read_current(self.folder)
        require_room(self.folder, ROOM_BYTES)  # after a crash it repeats what its log holds
        try:
            shard = EdgeShard.load(str(self.folder / self._current.shard), self._config)
            info = shard.info()
        except BaseException as error:
            if not foreign(error) or is_outage(error):
                raise
            self._damage = f"its shard cannot be loaded ({error})"
            raise damaged(self.folder.name, self._damage) from error
        self._indexed = set(info.payload_schema)
        if self._changed is None:
            self._changed = abs(info.points_count - self._current.optimised_points)
        return shard

    def _flush(self, shard: EdgeShard) -> None:
        shard.flush()
        self._unflushed = 0

    def _new_indexes(self, shard: EdgeShard, fields: frozenset[str]) -> list[UpdateOperation]:
        """Number fields are compared without an index too, only slower: on a large shard the next optimisation
        makes it, because doing so here would stop the whole process."""
        new = sorted(fields - self._indexed)[: max(0, NUMBER_FIELDS - len(self._indexed))]
        if new and shard.info().points_count > _SMALL_POINTS:
            self._wanted.update(new)
            return []
        self._indexed.update(new)
        return [UpdateOperation.create_field_index(field, PayloadSchemaType.Float) for field in new]

    def _copy_to(self, copy: Path) -> tuple[int, int, list[str]]:
        """Copy the shard and begin the journal; gives its points, what had changed, and the number fields to index."""
        with self._writing, self.reading() as shard:
            self._flush(shard)
            require_room(self.folder, 2 * size_bytes(self.folder) + ROOM_BYTES)
            # With its log: a shard without it numbers its operations from 0 again, and silently ignores those on
            # points that it has.
            shutil.copytree(self.folder / self._current.shard, copy)
            self._journal, self._journal_points = [], 0
            return shard.info().points_count, self._changed or 0, sorted(self._wanted)

    def _adopt(self, copy: Path, points: int, changed: int) -> bool:
        with self._writing:
            if self._journal is None:
                return False
            require_room(self.folder, ROOM_BYTES)
            old = self.folder / self._current.shard
            fresh = self.folder / f"shard-{int(old.name.removeprefix('shard-')) + 1}"
            erase(fresh)
            copy.rename(fresh)
            with _edge_errors(self.folder.name):
                shard = EdgeShard.load(str(fresh), self._config)
                for operation in self._journal:
                    shard.update(operation)
                self._flush(shard)
            self._current, self._indexed = Current(fresh.name, points), set(shard.info().payload_schema)
            self._shards.replace(self.folder, shard, lambda: write_current(self.folder, self._current))
            self._changed = (self._changed or 0) - changed
            self._wanted.clear()
        erase(old)
        return True


@contextmanager
def _edge_errors(version_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not foreign(error):
            raise
        raise Unavailable(f"The vectors of index version {version_id} do not answer: {error}. Try again.") from error
