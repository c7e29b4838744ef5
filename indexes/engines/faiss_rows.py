"""Every point of a version as a row: the rows of the main part first, then those of the delta.

A row is never changed, only appended, marked as gone, or moved to another group (a revision with one set of
attributes). One writer at a time; readers hold a `Snapshot`, which stays as it is.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexes.engines.attribute_columns import AttributeColumns, Groups
from indexes.engines.dense_plan import Shape
from indexes.engines.faiss_lists import Listed
from indexes.engines.faiss_part import Part
from indexes.engines.faiss_scan import Numbers, unit
from indexes.engines.gpu_device import DeviceIndex
from indexes.engines.growing import Growing
from indexes.engines.points import chunk_number
from indexes.filters import Filter
from indexes.model import Attributes, Page, Vector
from indexes.remote.codec import pack_attributes

_SELECTIONS = 16  # last filters of which the rows are kept until something is written


class Table:
    """The rows and who they are."""

    def __init__(self, dimension: int) -> None:
        self.part: Part | None = None
        self.device: DeviceIndex | None = None  # the same rows as the part
        self.chunks = Growing(np.uint8, 16)
        self.groups = Growing(np.int32)
        self.alive = Growing(np.bool_)
        self.delta = Growing(np.float32, dimension)
        self.revisions: list[str] = []  # of each group
        self.attributes: list[Attributes] = []  # of each group
        self.columns = AttributeColumns()
        self._numbers: dict[tuple[str, str], int] = {}
        self._groups_of: dict[str, tuple[int, ...]] = {}

    @property
    def main(self) -> int:
        """Rows of the main part."""
        return self.part.rows if self.part else 0

    def put(self, page: Page) -> None:
        """Store points, replacing those of the same chunk."""
        last = {chunk: at for at, chunk in enumerate(page.chunk_ids)}
        at = list(last.values())
        chunks = [chunk_number(chunk) for chunk in last]
        self._replace(set(chunks), {page.revision_ids[one] for one in at})
        self.groups.extend([self.group(page.revision_ids[one], page.attributes[one]) for one in at])
        self.delta.extend(unit(page.vectors[at]))
        self.alive.extend(np.ones(len(at), dtype=np.bool_))
        self.chunks.extend(np.frombuffer(b"".join(chunks), dtype=np.uint8))

    def remove(self, revision_id: str) -> None:
        """Mark the points of a revision as gone."""
        if (rows := self._rows([revision_id])).size:
            self.alive.replace(rows, False)

    def change(self, revision_id: str, attributes: Attributes) -> None:
        """Other attributes for all points of a revision."""
        if (rows := self._rows([revision_id])).size:
            self.groups.replace(rows, self.group(revision_id, attributes))

    def group(self, revision_id: str, attributes: Attributes) -> int:
        """The number of the revision with these attributes."""
        attributes = pack_attributes(attributes)
        key = revision_id, json.dumps(attributes, sort_keys=True)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.revisions)
            self.columns.add(number, attributes)
            self.attributes.append(attributes)
            self._groups_of[revision_id] = (*self._groups_of.get(revision_id, ()), number)
            self.revisions.append(revision_id)
        return number

    def counts(self) -> dict[str, int]:
        """How many points each revision has, of those that have any."""
        found: dict[str, int] = {}
        for group in np.flatnonzero(counts := self._group_counts()).tolist():
            found[self.revisions[group]] = found.get(self.revisions[group], 0) + int(counts[group])
        return found

    def rebase(self, part: Part, kept: Numbers, seen: int) -> None:
        """`part` holds the rows `kept` of the first `seen`; those behind them are the new delta."""
        delta = self.delta.view()[seen - self.main :]
        for column in (self.chunks, self.groups, self.alive):
            rows = column.view()
            column.reset(np.concatenate([rows[kept], rows[seen:]]))
        self.delta.reset(delta.copy())
        self.part, self.device = part, None
        self._leave_out_empty_groups()

    def snapshot(self) -> "Snapshot":
        """The rows as they are now."""
        return Snapshot(
            self.part,
            self.device,
            self.chunks.view(),
            self.groups.view(),
            self.alive.view(),
            self.delta.view(),
            self.revisions,
            self.attributes,
            self.columns,
            self._groups_of,
            self._group_counts(),
        )

    def _leave_out_empty_groups(self) -> None:
        """Number the groups anew, in other lists than those that snapshots have, once most of them have no row."""
        of, revisions, attributes = self.groups.view(), self.revisions, self.attributes
        used = np.flatnonzero(np.bincount(of, minlength=len(revisions)))
        if 2 * len(used) > len(revisions):
            return
        self.revisions, self.attributes, self.columns = [], [], AttributeColumns()
        self._numbers, self._groups_of = {}, {}
        for group in used.tolist():
            self.group(revisions[group], attributes[group])
        self.groups.reset(np.searchsorted(used, of).astype(np.int32))

    def _group_counts(self) -> NDArray[np.intp]:
        return np.bincount(self.groups.view()[self.alive.view()], minlength=len(self.revisions))

    def _replace(self, chunks: set[bytes], revision_ids: set[str]) -> None:
        rows = self._rows([revision for revision in revision_ids if revision in self._groups_of])
        stored = self.chunks.view()[rows].tobytes()
        gone = [row for at, row in enumerate(rows.tolist()) if stored[16 * at : 16 * at + 16] in chunks]
        if gone:
            self.alive.replace(np.array(gone), False)

    def _rows(self, revision_ids: Sequence[str]) -> NDArray[np.intp]:
        groups = [group for revision in revision_ids for group in self._groups_of.get(revision, ())]
        if not groups:
            return np.empty(0, dtype=np.intp)
        of = self.groups.view()
        inside = of == groups[0] if len(groups) == 1 else np.isin(of, groups)
        return np.flatnonzero(inside & self.alive.view())


@dataclass(frozen=True)
class Snapshot:
    """The rows at one moment, for any number of readers. Columns are parallel; `delta` has the rows behind `main`."""

    part: Part | None
    device: DeviceIndex | None
    chunks: NDArray[np.uint8]
    groups: NDArray[np.int32]
    alive: NDArray[np.bool_]
    delta: Vector
    revisions: list[str]
    attributes: list[Attributes]
    columns: AttributeColumns
    groups_of: dict[str, tuple[int, ...]]
    counts: NDArray[np.intp]
    _kept: "OrderedDict[tuple[str, tuple[str, ...]], Selection]" = field(default_factory=OrderedDict)

    @cached_property
    def shape(self) -> Shape:
        """What the plan asks for."""
        part = self.part
        if part is None:
            return Shape(0, len(self.delta))
        return Shape(part.rows, len(self.delta), part.lists, part.graph, device=self.device is not None)

    def select(self, where: Filter | None, hidden: Sequence[str]) -> "Selection":
        """The rows that a search may find."""
        # Not the filter itself: 1 and True are equal in Python, and differ here.
        key = "" if where is None else repr(where), tuple(hidden)
        selection = self._kept.get(key)
        if selection is None:
            selection = self._kept[key] = Selection(self, self._groups(where, hidden))
            if len(self._kept) > _SELECTIONS:
                self._kept.popitem(last=False)
        return selection

    def _groups(self, where: Filter | None, hidden: Sequence[str]) -> Groups | None:
        gone = [group for revision in hidden for group in self.groups_of.get(revision, ()) if group < len(self.counts)]
        if where is None and not gone:
            return None
        count = len(self.counts)
        allowed = np.ones(count, dtype=np.bool_) if where is None else self.columns.allowed(where, count)
        allowed[gone] = False
        return allowed


class Selection:
    """Rows of a snapshot by their groups; None is all that are not gone."""

    def __init__(self, snapshot: Snapshot, groups: Groups | None) -> None:
        # Not the snapshot, which keeps this: what lies in circles lies on a device until the garbage collector comes.
        self._part, self._alive, self._homes = snapshot.part, snapshot.alive, snapshot.groups
        self._groups = groups
        self._main = len(snapshot.groups) - len(snapshot.delta)
        self.allowed = int(snapshot.counts.sum() if groups is None else snapshot.counts[groups].sum())
        """How many there are, exactly."""

    @property
    def whole(self) -> bool:
        """Whether it is every row there ever was."""
        return self.allowed == len(self._homes)

    def has(self, rows: Numbers) -> NDArray[np.bool_]:
        """Which of these rows are in it."""
        alive = self._alive[rows]
        return alive if self._groups is None else alive & self._groups[self._homes[rows]]

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """One boolean for each row."""
        if self._groups is None:
            return self._alive
        return self._alive & self._groups[self._homes]

    @cached_property
    def main_rows(self) -> Numbers | None:
        """The numbers of its rows in the main part; None for all."""
        return None if self.whole else np.flatnonzero(self.mask[: self._main])

    @cached_property
    def listed(self) -> Listed:
        """Its rows in the main part, list by list."""
        assert self._part is not None
        return self._part.listed(self.mask[: self._main])

    @cached_property
    def delta_rows(self) -> Numbers | None:
        """The numbers of its rows in the delta; None for all."""
        return None if self.whole else np.flatnonzero(self.mask[self._main :])

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """One bit for each row of the main part, lowest first."""
        return np.packbits(self.mask[: self._main], bitorder="little")
