"""One index version of the FAISS engine: its rows in memory, kept equal to the engine within, and its main part.

The engine within is the truth. Each write names its revision in the journal, goes to that engine, then to memory. What
is loaded after a kill is the main part, corrected by reading again every revision that the journal names or of which
the number of points differs. Until that is done, and whenever it cannot be done, the engine within answers.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from indexes.engines.faiss_files import BadPart, FaissFiles, check, note, noted, seal
from indexes.engines.faiss_part import Part
from indexes.engines.faiss_rows import Snapshot, Table
from indexes.engines.faiss_saved import read_table, write_rows
from indexes.engines.faiss_scan import Numbers
from indexes.engines.gpu_device import DeviceIndex
from indexes.engines.gpu_plan import Placement
from indexes.index import Index
from indexes.manifest import Manifest

log = logging.getLogger(__name__)

_GONE_SHARE = 0.2  # of the main part's rows: more of them are worth building it anew
_OUTGROWN = 2  # times the rows that its lists were trained on: more lists are wanted
_DELTA_SHARE = 32  # of the main part: a merge writes all of it, so it waits for a share worth that
_REVISIONS_AT_ONCE = 100  # named in one question


class FaissVersion:
    """For any number of threads. Of `load` and `merge` one goes on at a time."""

    def __init__(self, version_id: str, manifest: Manifest, inner: Index, files: FaissFiles, merge_after: int) -> None:
        self.version_id = version_id
        self.inner = inner
        self.used_s = 0.0
        self._manifest = manifest
        self._files = files
        self._merge_after = merge_after
        self._tending = threading.Lock()  # taken before the other one
        self._writing = threading.Lock()
        self._folder = files.part(version_id)
        self._noted: set[str] = set()
        self._since: set[str] = set()  # written to since `load` or `merge` began
        self._table: Table | None = None
        self._now: Snapshot | None = None
        self.dropped = False  # there is nothing to load or merge any more
        self.placement = Placement.CPU  # what was last arranged for the part

    @property
    def now(self) -> Snapshot | None:
        """What a search may use, if it is loaded."""
        self.used_s = time.monotonic()
        return self._now

    @property
    def loaded(self) -> bool:
        """Whether the rows are in memory."""
        return self._now is not None

    @property
    def part(self) -> Part | None:
        """The main part, if there is one in memory."""
        return self._now.part if self._now else None

    def place(self, part: Part, placement: Placement, device: DeviceIndex | None) -> None:
        """From now on search this part on a device, or on the CPU."""
        with self._writing:
            if self._table is not None and self._table.part is part:
                self.placement, self._table.device = placement, device
                self._now = self._table.snapshot()

    @contextmanager
    def writing(self, revision_ids: Iterable[str]) -> Iterator[Callable[[Callable[[Table], None]], None]]:
        """One writer at a time. In the block write to the engine within, then give what that means for the rows.

        Raises StorageFull where the journal finds no room.
        """
        revisions = set(revision_ids)
        with self._writing:
            self._note(revisions)
            try:
                yield self._apply
            except BaseException:
                self._forget()  # how much of it was written is not known: it is read again
                raise

    def load(self) -> None:
        """Bring the rows into memory, as the engine within has them; nothing happens if they are."""
        with self._tending:
            if not self.loaded and not self.dropped:
                self._load()

    def _load(self) -> None:
        with self._writing:
            self._since = set()
        table = self._read_part()
        if table is None:
            table = Table(self._manifest.embedding.dimension)
            self._read(table, None)
        with self._writing:
            self._read(table, self._since)
            if not self.dropped:
                self._table, self._now, self.used_s = table, table.snapshot(), time.monotonic()

    def due(self) -> bool:
        """Whether the delta is large enough to be merged, or enough of the main part is gone."""
        now = self._now
        if now is None:
            return False
        main, gone = now.shape.main, len(now.groups) - int(now.counts.sum())
        return len(now.delta) >= max(self._merge_after, main // _DELTA_SHARE) or gone > max(
            self._merge_after, _GONE_SHARE * main
        )

    def merge(self, stop: threading.Event) -> None:
        """Make delta and main part one, beside the searches and writes that go on. Raises Stopped."""
        with self._tending:
            self._merge(stop)

    def _merge(self, stop: threading.Event) -> None:
        with self._writing:
            self._since = set()
            now, table = self._now, self._table
        if now is None or table is None:
            return
        if not now.counts.any():
            self._start_empty(now)
            return
        with self._files.work() as work:
            part, kept = self._build(now, stop)
            part.write(work)
            write_rows(work, now, kept)
            seal(work, self._manifest.hash)
            # Mapped from its file: what was built would hold the vectors in memory that nobody can take away.
            part = Part.read(work)
            with self._writing:
                if self._table is table:
                    self._adopt(work, part, table, kept, len(now.groups))

    def release(self) -> None:
        """Give the memory back; the next use loads again."""
        with self._writing:
            self._forget()

    def retire(self) -> None:
        """Another object has the files from now on."""
        with self._writing:
            self.dropped = True
            self._forget()

    def drop(self) -> None:
        """Erase the files; searches that have begun finish."""
        with self._writing:
            self.dropped, self._folder = True, None
            self._forget()
            self._files.remove(self.version_id)

    def _adopt(self, work: Path, part: Part, table: Table, kept: Numbers, seen: int) -> None:
        old = self._folder
        try:
            self._folder = self._files.publish(work, self.version_id, self._since)
            self._noted = set(self._since)
            table.rebase(part, kept, seen)
            self.placement = Placement.CPU
            self._now = table.snapshot()
        except BaseException:
            if (there := self._files.part(self.version_id)) != old:  # the rows in memory are those of the old part
                self._folder, self._noted = there, set()
                self._forget()
            raise

    def _start_empty(self, emptied: Snapshot) -> None:
        with self._writing:
            if self._now is emptied:
                self._folder = None
                self._files.remove(self.version_id)
                self._table = Table(self._manifest.embedding.dimension)
                self._now = self._table.snapshot()

    def _note(self, revisions: set[str]) -> None:
        if self._folder and (new := revisions - self._noted):
            note(self._folder, new)
            self._noted |= new
        self._since |= revisions

    def _apply(self, change: Callable[[Table], None]) -> None:
        if self._table is not None:
            change(self._table)
            self._now = self._table.snapshot()

    def _forget(self) -> None:
        self._table = self._now = None
        self.placement = Placement.CPU

    def _read_part(self) -> Table | None:
        """The main part with what was written since, if its files are good."""
        folder = self._folder
        if folder is None:
            return None
        try:
            check(folder, self._manifest.hash)
            table = read_table(folder, self._manifest.embedding.dimension)
            stale = noted(folder)
        except (BadPart, OSError, ValueError, LookupError, RuntimeError) as error:
            log.warning("FAISS index of %s is built anew: %s", self.version_id, error)
            self._discard(folder)
            return None
        self._read(table, stale | self._differing(table))
        return table

    def _discard(self, folder: Path) -> None:
        with self._writing:
            if self._folder == folder:
                self._folder = None
                self._files.remove(self.version_id)

    def _differing(self, table: Table) -> set[str]:
        ours, theirs = table.counts(), self.inner.inventory()
        return {revision for revision in ours.keys() | theirs.keys() if ours.get(revision) != theirs.get(revision)}

    def _read(self, table: Table, revision_ids: Iterable[str] | None) -> None:
        """Read these revisions anew, or all."""
        if revision_ids is None:
            self._read_pages(table, ())
            return
        revisions = sorted(revision_ids)
        for revision in revisions:
            table.remove(revision)
        for start in range(0, len(revisions), _REVISIONS_AT_ONCE):
            self._read_pages(table, revisions[start : start + _REVISIONS_AT_ONCE])

    def _read_pages(self, table: Table, revision_ids: Sequence[str]) -> None:
        start, more = None, True
        while more:
            page = self.inner.page(start, revision_ids)
            if page.chunk_ids:
                table.put(page)
            start = page.next
            more = start is not None

    def _build(self, now: Snapshot, stop: threading.Event) -> tuple[Part, Numbers]:
        """A part of the rows that are there, and which of the snapshot's rows it holds in which order."""
        old, main = now.part, now.shape.main
        fresh = main + _shuffled(np.flatnonzero(now.alive[main:]))
        gone = main - int(np.count_nonzero(now.alive[:main]))
        grows = gone <= _GONE_SHARE * main and main + len(fresh) <= _OUTGROWN * (old.trained_rows if old else 0)
        if old and grows and self._folder:
            part = old.grown(now.delta[fresh - main], self._folder, stop)
            return part, np.concatenate([np.arange(main), fresh])
        kept = _shuffled(np.flatnonzero(now.alive))
        vectors = np.empty((len(kept), now.delta.shape[1]), dtype=np.float32)
        vectors[kept >= main] = now.delta[kept[kept >= main] - main]
        if old:
            vectors[kept < main] = old.vectors[kept[kept < main]]
        part, order = Part.build(vectors, stop)
        return part, kept[order]


def _shuffled(rows: Numbers) -> Numbers:
    """A part measures itself by some of its rows, which must not be all of one document."""
    return np.random.default_rng(1).permutation(rows)
