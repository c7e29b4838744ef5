"""Which bytes no row tells of, and which catalog it is that does not."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import ApiKey, File, Revision


async def identity(session: AsyncSession) -> str | None:
    """What tells this catalog from others, the same for ever: the id of its first key. None before there is one."""
    return await session.scalar(select(ApiKey.id).order_by(ApiKey.created_at, ApiKey.id).limit(1))


async def unknown(session: AsyncSession, noun: type[File] | type[Revision], ids: Sequence[str]) -> set[str]:
    """Those of the ids that have no row, not even a hidden one."""
    return set(ids) - set(await session.scalars(select(noun.id).where(noun.id.in_(ids))))
