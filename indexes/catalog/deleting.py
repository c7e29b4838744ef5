"""Hides what is deleted from every reader, in one transaction. What is hidden is erased afterwards.

Parts go with the revision that they were taken out of, and so do the files that exist only as parts: these are marked
here as well, so that after a crash the reconciler finds all that is left.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from indexes.catalog.database import batched
from indexes.catalog.revisions import LISTED
from indexes.catalog.tables import File, Revision, RevisionState

_REFRESHED = {"populate_existing": True}


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is hidden and has to be erased: revisions, and the files of parts that nothing else is made from."""

    revisions: Sequence[Revision] = ()
    files: Sequence[File] = ()


@dataclass(frozen=True, slots=True)
class DoomedStore:
    """The same of a whole store, of which only the ids of its revisions are wanted."""

    revision_ids: Sequence[str]
    files: Sequence[File]


async def of_file(session: AsyncSession, store_id: str | None, file_id: str) -> Doomed:
    """Hide a file's revisions, in one store or in all."""
    here = () if store_id is None else (Revision.store_id == store_id,)
    return await _with_parts(session, await _hide(session, Revision.file_id == file_id, *here))


async def of_key(session: AsyncSession, store_id: str, key: str) -> Doomed:
    """Hide every revision of a key, its history too."""
    return await _with_parts(session, await _hide(session, Revision.store_id == store_id, Revision.key == key))


async def of_store(session: AsyncSession, store_id: str) -> DoomedStore:
    """Hide every revision of a store that is being deleted, taken from whoever works on it."""
    mine = Revision.store_id == store_id
    await session.execute(
        update(Revision).where(mine).values(state=RevisionState.DELETED),
        execution_options={"synchronize_session": False},
    )
    revision_ids = list(await session.scalars(select(Revision.id).where(mine)))
    of_parts = select(Revision.file_id).where(mine, Revision.parent_id.is_not(None))
    return DoomedStore(revision_ids, await _released(session, File.id.in_(of_parts)))


async def of_parts(session: AsyncSession, revision_ids: Sequence[str]) -> Doomed:
    """Hide some parts of what stays."""
    rows = []
    for ids in batched(revision_ids):
        rows += await _hide(session, Revision.id.in_(ids))
    return Doomed(rows, await _release(session, rows))


async def _hide(session: AsyncSession, *which: ColumnElement[bool]) -> list[Revision]:
    statement = (
        update(Revision)
        .where(*which, Revision.state != RevisionState.DELETED)
        .values(state=RevisionState.DELETED, updated_at=time.time())
        .returning(Revision)
    )
    return list(await session.scalars(statement, execution_options=_REFRESHED))


async def _with_parts(session: AsyncSession, rows: list[Revision]) -> Doomed:
    # The parents are hidden first: a worker that is just completing one has then attached its parts, or never will.
    parts: list[str] = []
    for parent in rows:
        parts += await session.scalars(select(Revision.id).where(_belongs_to(parent)))
    hidden = await of_parts(session, parts)
    own = await _release(session, rows)
    return Doomed([*rows, *hidden.revisions], [*own, *hidden.files])


def _belongs_to(parent: Revision) -> ColumnElement[bool]:
    """Parts of `parent`; with the last current revision of its key also what is still listed of those before it."""
    same = aliased(Revision)
    same_key = (same.store_id == parent.store_id, same.key == parent.key)
    is_there = exists().where(*same_key, same.state == RevisionState.CURRENT)
    left = Revision.parent_id.in_(select(same.id).where(*same_key)) & Revision.state.in_(LISTED) & ~is_there
    return (Revision.parent_id == parent.id) | left


async def _release(session: AsyncSession, rows: Sequence[Revision]) -> list[File]:
    """Hide the files of deleted parts, except those that somebody has attached elsewhere."""
    released = []
    for file_ids in batched([row.file_id for row in rows if row.parent_id is not None]):
        released += await _released(session, File.id.in_(file_ids))
    return released


async def _released(session: AsyncSession, which: ColumnElement[bool]) -> list[File]:
    other = aliased(Revision)
    in_use = exists().where(other.file_id == File.id, other.state != RevisionState.DELETED)
    statement = update(File).where(which, ~File.deleting, ~in_use).values(deleting=True)
    return list(await session.scalars(statement.returning(File), execution_options=_REFRESHED))
