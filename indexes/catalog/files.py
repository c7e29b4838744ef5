"""Uploaded files."""

import time
from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.database import batched
from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.tables import File
from indexes.errors import NotFound


async def get(session: AsyncSession, project: str, file_id: str) -> File:
    """The file. Raises NotFound, also for another project's file."""
    row = await session.scalar(select(File).where(File.id == file_id, File.project == project, ~File.deleting))
    if row is None:
        raise NotFound(f"There is no file '{file_id}'. List your files with GET /v1/files.", param="file_id")
    return row


async def get_many(session: AsyncSession, project: str, file_ids: list[str]) -> dict[str, File]:
    """Files by id. Raises NotFound naming the first that is not there."""
    found: dict[str, File] = {}
    for some in batched(file_ids):
        query = select(File).where(File.id.in_(some), File.project == project, ~File.deleting)
        query = query.with_for_update(read=True)  # none is deleted before what is made of it here can be seen
        found |= {row.id: row for row in await session.scalars(query)}
    for file_id in file_ids:
        if file_id not in found:
            raise NotFound(f"There is no file '{file_id}'. Nothing of this request was done.", param="file_ids")
    return found


async def existing(session: AsyncSession, file_ids: Sequence[str]) -> set[str]:
    """Those of the ids that have a row, hidden ones too."""
    found: set[str] = set()
    for some in batched(file_ids):
        found |= set(await session.scalars(select(File.id).where(File.id.in_(some))))
    return found


async def listing(session: AsyncSession, project: str, purpose: str | None, cursor: Cursor) -> Page[File]:
    """A page of a project's files."""
    query = select(File).where(File.project == project, ~File.deleting)
    if purpose is not None:
        query = query.where(File.purpose == purpose)
    return await page(session, query, File.seq, File.id, cursor)


async def expired(session: AsyncSession) -> list[File]:
    """Files past their `expires_at`, and files whose deletion was begun and not finished."""
    query = select(File).where(File.deleting | (File.expires_at < time.time())).order_by(File.seq).limit(100)
    return list(await session.scalars(query))


async def mark_deleting(session: AsyncSession, file_id: str) -> None:
    """Hide the file; nothing happens if it is gone already, for several may delete it at once."""
    await session.execute(update(File).where(File.id == file_id).values(deleting=True))


async def remove(session: AsyncSession, file_ids: Sequence[str]) -> None:
    """Forget the rows; their bytes and revisions must be gone."""
    for some in batched(file_ids):
        await session.execute(delete(File).where(File.id.in_(some)))
