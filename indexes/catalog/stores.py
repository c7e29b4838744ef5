"""Stores and what they count."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.progress import Line
from indexes.catalog.tables import Batch, BatchRevision, Revision, RevisionState, Store
from indexes.errors import NotFound


@dataclass(frozen=True, slots=True)
class Counts:
    """Revisions of a store or a batch by what became of them, and the bytes they occupy.

    `chunks_done` and `chunks_total` are sums over what is in progress or completed, as far as it is cut. `line` is the
    work that is left; `last_in_line` the `seq` of the last revision in progress.
    """

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    usage_bytes: int = 0
    chunks_done: int = 0
    chunks_total: int = 0
    line: Line = field(default_factory=Line)
    last_in_line: int | None = None

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.failed + self.cancelled


async def get(session: AsyncSession, project: str, store_id: str) -> Store:
    """The store. Raises NotFound, also for another project's store."""
    row = await session.scalar(select(Store).where(*_of(project, store_id)))
    if row is None:
        raise _unknown(store_id)
    return row


async def use(session: AsyncSession, project: str, store_id: str) -> None:
    """Note that a store is used, for `expires_after`, before anything else in a transaction that puts something in it.

    Until that ends nobody deletes the store, completes a revision of it or puts something else in it: who took a shared
    lock first and noted the use at the end would wait for another who does the same. Raises NotFound as `get` does.
    """
    used = update(Store).where(*_of(project, store_id)).values(last_active_at=time.time())
    if await session.scalar(used.returning(Store.id)) is None:
        raise _unknown(store_id)


def _of(project: str, store_id: str) -> tuple[ColumnElement[bool], ...]:
    return (Store.id == store_id, Store.project == project, ~Store.deleting)


def _unknown(store_id: str) -> NotFound:
    return NotFound(
        f"There is no vector store '{store_id}'. List yours with GET /v1/vector_stores.", param="vector_store_id"
    )


async def project(session: AsyncSession, store_id: str) -> str:
    """Whose store it is. Raises NotFound."""
    found = await session.scalar(select(Store.project).where(Store.id == store_id, ~Store.deleting))
    if found is None:
        raise NotFound(f"There is no vector store '{store_id}' any more.", param="vector_store_id")
    return found


async def named(session: AsyncSession, project: str, name: str) -> Store:
    """The newest store of that id or name. Raises NotFound."""
    query = select(Store).where(Store.project == project, ~Store.deleting, (Store.id == name) | (Store.name == name))
    row = await session.scalar(query.order_by(Store.seq.desc()).limit(1))
    if row is None:
        raise NotFound(f"There is no vector store with the id or name '{name}'.", param="model")
    return row


async def listing(session: AsyncSession, project: str, cursor: Cursor) -> Page[Store]:
    """A page of a project's stores."""
    query = select(Store).where(Store.project == project, ~Store.deleting)
    return await page(session, query, Store.seq, Store.id, cursor)


async def counts(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, Counts]:
    """Counts by store; a superseded revision no longer counts."""
    return await _counts(session, Revision.store_id, store_ids, superseded=False)


@dataclass(frozen=True, slots=True)
class Chunks:
    """Chunks of current revisions; for `reused` of them no text was embedded."""

    total: int
    reused: int


async def chunks(session: AsyncSession, store_id: str) -> Chunks:
    """The chunks that searches of a store see."""
    sums = select(func.sum(Revision.chunks_total), func.sum(Revision.chunks_reused)).where(
        Revision.store_id == store_id, Revision.state == RevisionState.CURRENT
    )
    total, reused = (await session.execute(sums)).one()
    return Chunks(int(total or 0), int(reused or 0))


async def batch_counts(session: AsyncSession, batch_ids: Sequence[str]) -> dict[str, Counts]:
    """Counts by batch; a superseded revision counts as completed, since that is what became of it there."""
    return await _counts(session, BatchRevision.batch_id, batch_ids, superseded=True)


async def _counts(session: AsyncSession, column, ids: Sequence[str], *, superseded: bool) -> dict[str, Counts]:  # type: ignore[no-untyped-def] # noqa: ANN001
    query = (
        select(
            column,
            Revision.state,
            func.count(),
            func.sum(Revision.usage_bytes),
            func.sum(Revision.chunks_done),
            func.sum(Revision.chunks_total),
            func.sum(case((Revision.chunks_total > 0, 0), else_=1)),
            func.max(Revision.seq),
        )
        .where(column.in_(ids))
        .group_by(column, Revision.state)
    )
    if superseded:
        query = query.join(BatchRevision, BatchRevision.revision_id == Revision.id)
    numbers: dict[str, dict[RevisionState, _Group]] = {ident: {} for ident in ids}
    for ident, state, *sums in await session.execute(query):
        numbers[ident][state] = _Group(*(int(one) for one in sums))
    return {ident: _tally(by_state, superseded=superseded) for ident, by_state in numbers.items()}


@dataclass(frozen=True, slots=True)
class _Group:
    """Sums over the revisions of one state."""

    files: int = 0
    usage_bytes: int = 0
    chunks_done: int = 0
    chunks_total: int = 0
    uncut_files: int = 0
    last_seq: int | None = None


def _tally(by_state: dict[RevisionState, _Group], *, superseded: bool) -> Counts:
    def group(state: RevisionState) -> _Group:
        return by_state.get(state, _Group())

    pending, current = group(RevisionState.PENDING), group(RevisionState.CURRENT)
    return Counts(
        in_progress=pending.files,
        completed=current.files + (group(RevisionState.SUPERSEDED).files if superseded else 0),
        failed=group(RevisionState.FAILED).files,
        cancelled=group(RevisionState.CANCELLED).files,
        usage_bytes=current.usage_bytes,
        chunks_done=pending.chunks_done + current.chunks_done,
        chunks_total=pending.chunks_total + current.chunks_total,
        line=Line(pending.chunks_total - pending.chunks_done, pending.uncut_files),
        last_in_line=pending.last_seq,
    )


async def touch(session: AsyncSession, store_ids: Sequence[str]) -> None:
    """Note that stores were used, for `expires_after`."""
    await session.execute(update(Store).where(Store.id.in_(store_ids)).values(last_active_at=time.time()))


async def unwanted(session: AsyncSession) -> list[Store]:
    """Stores past `expires_after`, and stores whose deletion was begun and not finished."""
    return list(await session.scalars(select(Store).where(_unwanted()).order_by(Store.seq).limit(100)))


async def expire(session: AsyncSession, store_id: str) -> bool:
    """Hide a store that nobody has used for too long, unless somebody used it just now; whether it is hidden."""
    expired = await session.scalar(
        update(Store).where(Store.id == store_id, _unwanted()).values(deleting=True).returning(Store.id)
    )
    return expired is not None


def _unwanted() -> ColumnElement[bool]:
    return Store.deleting | (Store.last_active_at + Store.expires_after_days * 86_400.0 < time.time())


async def mark_deleting(session: AsyncSession, store_id: str) -> None:
    """Hide the store; nothing happens if it is gone already, for several may delete it at once."""
    await session.execute(update(Store).where(Store.id == store_id).values(deleting=True))


async def remove(session: AsyncSession, store_id: str) -> None:
    """Forget the row and, by cascade, its versions, batches, revisions and chunks."""
    await session.execute(delete(Store).where(Store.id == store_id))


async def batch(session: AsyncSession, store_id: str, batch_id: str) -> Batch:
    """A batch of this store. Raises NotFound."""
    row = await session.scalar(select(Batch).where(Batch.id == batch_id, Batch.store_id == store_id))
    if row is None:
        raise NotFound(f"There is no file batch '{batch_id}' in this vector store.", param="batch_id")
    return row
