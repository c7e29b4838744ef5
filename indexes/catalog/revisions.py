"""Revisions as their owner sees them: attached, listed, changed, taken back."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import versions
from indexes.catalog.database import batched
from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.tables import BatchRevision, ChunkRow, File, Revision, RevisionState, Stage
from indexes.errors import Conflict, NotFound
from indexes.ids import Kind, new_id
from indexes.manifest import Chunking
from indexes.model import Attributes

LISTED = (RevisionState.PENDING, RevisionState.CURRENT, RevisionState.FAILED, RevisionState.CANCELLED)
STOPPED = (RevisionState.FAILED, RevisionState.CANCELLED)
_SAID = {
    RevisionState.PENDING: "in progress",
    RevisionState.CURRENT: "completed",
    RevisionState.FAILED: "failed",
    RevisionState.CANCELLED: "cancelled",
    RevisionState.SUPERSEDED: "superseded by a newer file",
    RevisionState.DELETED: "deleted",
}
_REFRESHED = {"populate_existing": True}


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is asked for one file: its key, attributes, and chunking where it differs from the store's."""

    file: File
    key: str
    attributes: Attributes
    chunking: Chunking | None = None


async def attach(session: AsyncSession, store_id: str, wanted: Attachment, batch_id: str | None = None) -> Revision:
    """Make sure that the file is, or is on its way to be, the newest revision of its key.

    The same bytes under the same key are not worked on again: the revision that has them takes the new file id and
    attributes. A failed or cancelled one is tried again. A part of another document stays that, and is superseded.
    Raises Conflict where the file already has another key here.
    """
    same_file = await _listed_by_file(session, store_id, wanted.file.id)
    if same_file is not None and same_file.key != wanted.key:
        raise Conflict(
            f"The file '{wanted.file.id}' is attached to this store under the key '{same_file.key}'. "
            f"Upload it again to attach it as '{wanted.key}' too.",
            code="file_attached",
            param="key",
        )
    newest = await _newest(session, store_id, wanted.key)
    if newest is not None and _is_the_same(newest, wanted):
        return await _reuse(session, newest, wanted, batch_id)
    revision = new(store_id, wanted)
    session.add(revision)
    await session.flush()
    await _note_batch(session, batch_id, revision)
    return revision


def new(store_id: str, wanted: Attachment) -> Revision:
    """A revision on its way, for a file whose key is not taken by the same bytes."""
    return Revision(
        id=new_id(Kind.REVISION),
        store_id=store_id,
        file_id=wanted.file.id,
        sha256=wanted.file.sha256,
        filename=wanted.file.filename,
        key=wanted.key,
        attributes=dict(wanted.attributes),
        max_tokens=wanted.chunking and wanted.chunking.max_tokens,
        overlap_tokens=wanted.chunking and wanted.chunking.overlap_tokens,
    )


async def _note_batch(session: AsyncSession, batch_id: str | None, revision: Revision) -> None:
    if batch_id is not None:
        await session.merge(BatchRevision(batch_id=batch_id, revision_id=revision.id))


async def _reuse(session: AsyncSession, revision: Revision, wanted: Attachment, batch_id: str | None) -> Revision:
    revision.file_id, revision.filename = wanted.file.id, wanted.file.filename
    await _note_batch(session, batch_id, revision)
    for one in await with_parts(session, [revision]):
        change_attributes(one, wanted.attributes)
    await session.flush()
    await try_again(session, Revision.id == revision.id, Revision.state.in_(STOPPED))
    return revision


async def with_parts(session: AsyncSession, rows: Sequence[Revision]) -> list[Revision]:
    """These revisions, and what is listed of their parts: whose attributes are theirs."""
    parts = select(Revision).where(Revision.parent_id.in_([row.id for row in rows]), Revision.state.in_(LISTED))
    return [*rows, *await session.scalars(parts)]


def change_attributes(revision: Revision, attributes: Attributes) -> None:
    """Set attributes; the indexes are told afterwards, and until then `attributes_synced` is false."""
    if dict(attributes) != revision.attributes:
        revision.attributes = dict(attributes)
        revision.attributes_synced = not revision.has_points


async def get(session: AsyncSession, store_id: str, file_id: str) -> Revision:
    """The revision of a file in a store; a superseded one only if there is no other. Raises NotFound."""
    query = select(Revision).where(
        Revision.store_id == store_id, Revision.file_id == file_id, Revision.state != RevisionState.DELETED
    )
    rows = sorted(await session.scalars(query), key=lambda row: (row.state in LISTED, row.seq))
    if not rows:
        raise NotFound(f"The file '{file_id}' is not attached to this vector store.", param="file_id")
    return rows[-1]


async def others_listed(session: AsyncSession, revision: Revision) -> list[Revision]:
    """The other revisions of the same file in its store that are shown or on their way."""
    query = select(Revision).where(
        Revision.store_id == revision.store_id, Revision.file_id == revision.file_id, Revision.id != revision.id
    )
    return list(await session.scalars(query.where(Revision.state.in_(LISTED))))


async def exists(session: AsyncSession, revision_id: str) -> bool:
    """Whether the catalog still knows a revision."""
    return await session.scalar(select(Revision.seq).where(Revision.id == revision_id)) is not None


async def text_blob(session: AsyncSession, revision_id: str) -> str | None:
    """The key of a revision's canonical text; None where it has none, or is unknown."""
    return await session.scalar(select(Revision.text_blob).where(Revision.id == revision_id))


async def without_points(session: AsyncSession, revision_ids: Sequence[str]) -> list[str]:
    """Those of the ids that no index should hold anything of: unknown revisions, and erased ones."""
    known: set[str] = set()
    for ids in batched(revision_ids):
        known |= set(await session.scalars(select(Revision.id).where(Revision.id.in_(ids), Revision.has_points)))
    return [ident for ident in revision_ids if ident not in known]


async def listing(
    session: AsyncSession,
    store_id: str,
    cursor: Cursor,
    state: RevisionState | None = None,
    batch_id: str | None = None,
) -> Page[Revision]:
    """A page of the revisions of a store or of one of its batches."""
    query = select(Revision).where(Revision.store_id == store_id)
    query = query.where(Revision.state == state) if state else query.where(Revision.state.in_(LISTED))
    if batch_id is not None:
        query = query.where(Revision.id.in_(_of_batch(batch_id)))
    # A file may be attached twice, one revision answering and one on its way: it is one entry, or paging by its id
    # would go round in circles.
    newest = select(func.max(Revision.seq)).where(Revision.store_id == store_id, Revision.state.in_(LISTED))
    query = query.where(Revision.seq.in_(newest.group_by(Revision.file_id)))
    # The wire names a revision by its file, so that is what `after` and `before` hold.
    return await page(session, query, Revision.seq, Revision.file_id, cursor)


async def newest_by_key(
    session: AsyncSession,
    store_id: str,
    cursor: Cursor,
    *,
    key: str | None,
    state: RevisionState | None,
    stage: Stage | None,
) -> Page[Revision]:
    """A page of documents: of each key its newest listed revision."""
    newest = select(func.max(Revision.seq)).where(Revision.store_id == store_id, Revision.state.in_(LISTED))
    if key is not None:
        newest = newest.where(Revision.key == key)
    query = select(Revision).where(Revision.seq.in_(newest.group_by(Revision.key)))
    for column, wanted in ((Revision.state, state), (Revision.stage, stage)):
        if wanted is not None:
            query = query.where(column == wanted)
    return await page(session, query, Revision.seq, Revision.key, cursor)


async def of_keys(session: AsyncSession, store_id: str, keys: Sequence[str]) -> list[Revision]:
    """Every revision of some keys that is not deleted, newest first."""
    query = select(Revision).where(
        Revision.store_id == store_id, Revision.key.in_(keys), Revision.state != RevisionState.DELETED
    )
    return list(await session.scalars(query.order_by(Revision.seq.desc())))


async def current_keys(session: AsyncSession, store_id: str, keys: Collection[str]) -> set[str]:
    """Those of the keys whose documents readers see."""
    known: set[str] = set()
    for some in batched(list(keys)):
        here = (Revision.store_id == store_id, Revision.key.in_(some), Revision.state == RevisionState.CURRENT)
        known.update(await session.scalars(select(Revision.key).where(*here)))
    return known


async def chunks(session: AsyncSession, revision: Revision) -> list[ChunkRow]:
    """The chunks of a revision in order, as the live version has them."""
    cut = versions.opened_as(await versions.live(session, revision.store_id)).manifest.cut
    query = select(ChunkRow).where(ChunkRow.revision_id == revision.id, ChunkRow.cut == cut)
    return list(await session.scalars(query.order_by(ChunkRow.ordinal)))


async def retry(session: AsyncSession, revision: Revision) -> Revision:
    """Put failed or cancelled work back in line, from the stage it had reached. Raises Conflict for any other."""
    again = await try_again(session, Revision.id == revision.id, Revision.state.in_(STOPPED))
    if not again:
        raise Conflict(
            f"The file '{revision.file_id}' is {_SAID[revision.state]} here: there is nothing to try again. "
            "Only failed or cancelled work goes back in line.",
            code="not_retryable",
        )
    return again[0]


async def retry_batch(session: AsyncSession, batch_id: str) -> list[Revision]:
    """Put everything of a batch that failed back in line."""
    return await try_again(session, Revision.id.in_(_of_batch(batch_id)), Revision.state == RevisionState.FAILED)


async def cancel(session: AsyncSession, revision: Revision) -> Revision:
    """Stop the work on a revision. Raises Conflict where it is not in progress."""
    cancelled = await _cancel(session, Revision.id == revision.id)
    if not cancelled:
        raise Conflict(
            f"The file '{revision.file_id}' is {_SAID[revision.state]} here: there is nothing to cancel. "
            "To take it out of the store, delete it.",
            code="not_cancellable",
        )
    return cancelled[0]


async def cancel_batch(session: AsyncSession, batch_id: str) -> None:
    """Stop the work of a batch that is not finished."""
    await _cancel(session, Revision.id.in_(_of_batch(batch_id)))


def _of_batch(batch_id: str) -> Select[str]:
    return select(BatchRevision.revision_id).where(BatchRevision.batch_id == batch_id)


async def try_again(session: AsyncSession, *which: ColumnElement[bool]) -> list[Revision]:
    """Put this work back in line, from the stage it had reached."""
    # One statement, so that what is deleted at the same moment on PostgreSQL does not come back.
    statement = (
        update(Revision)
        .where(*which)
        .values(
            state=RevisionState.PENDING,
            attempts=0,
            next_attempt_at=0.0,
            started_at=None,
            error_code=None,
            error_message=None,
            updated_at=time.time(),
        )
        .returning(Revision)
    )
    return list(await session.scalars(statement, execution_options=_REFRESHED))


async def _cancel(session: AsyncSession, *which: ColumnElement[bool]) -> list[Revision]:
    statement = (
        update(Revision)
        .where(*which, Revision.state == RevisionState.PENDING)
        .values(state=RevisionState.CANCELLED, updated_at=time.time())
        .returning(Revision)
    )
    return list(await session.scalars(statement, execution_options=_REFRESHED))


async def _listed_by_file(session: AsyncSession, store_id: str, file_id: str) -> Revision | None:
    query = select(Revision).where(
        Revision.store_id == store_id, Revision.file_id == file_id, Revision.state.in_(LISTED)
    )
    return await session.scalar(query.order_by(Revision.seq.desc()).limit(1).with_for_update())


async def _newest(session: AsyncSession, store_id: str, key: str) -> Revision | None:
    query = select(Revision).where(Revision.store_id == store_id, Revision.key == key, Revision.state.in_(LISTED))
    return await session.scalar(query.order_by(Revision.seq.desc()).limit(1).with_for_update())


def _is_the_same(revision: Revision, wanted: Attachment) -> bool:
    chunking = (wanted.chunking.max_tokens, wanted.chunking.overlap_tokens) if wanted.chunking else (None, None)
    return (
        revision.sha256 == wanted.file.sha256
        and (revision.max_tokens, revision.overlap_tokens) == chunking
        and (revision.parent_id is None or revision.file_id == wanted.file.id)
    )
