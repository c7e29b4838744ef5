"""Which version answers: promote, roll back, retire, delete. Each is one transaction (I7)."""

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import history, holdings, versions
from indexes.catalog.history import Because
from indexes.catalog.tables import IndexVersion, Revision, Store, VersionState
from indexes.catalog.version_tables import EventKind, Holding
from indexes.errors import Conflict


async def promote(
    session: AsyncSession,
    store_id: str,
    version_id: str,
    because: Because,
    *,
    instead_of: str | None = None,
    forced: bool = False,
    comparison_id: str | None = None,
) -> IndexVersion:
    """Make a version live and retire the one before. Promoting the live one changes nothing.

    Raises Conflict for a version that is not whole, and where `instead_of` is not the live one any more.
    """
    await versions.alone(session, store_id)
    live = await versions.live(session, store_id)
    if instead_of is not None and live.id not in (instead_of, version_id):
        raise Conflict(
            f"Another index version, '{live.id}', was made live meanwhile. Compare with that one and try again.",
            code="live_version_changed",
        )
    version = await versions.searchable(session, store_id, version_id)
    if version.state == VersionState.LIVE:
        return version
    if not await holdings.is_complete(session, version):
        raise Conflict(
            f"The index version '{version_id}' lacks documents that the live one has. Build a new one.",
            code="version_incomplete",
            param="index_version",
        )
    await _switch(session, store_id, version, VersionState.RETIRED)
    await history.note(
        session, store_id, version.id, EventKind.PROMOTED, because, forced=forced, comparison_id=comparison_id
    )
    return version


async def rollback(session: AsyncSession, store_id: str, because: Because) -> IndexVersion:
    """Make the version live that was so before; the one that was live stays ready, and current, beside it.

    Raises Conflict where there is none left.
    """
    await versions.alone(session, store_id)
    before = await session.scalar(
        select(IndexVersion)
        .where(IndexVersion.store_id == store_id, IndexVersion.state == VersionState.RETIRED)
        .order_by(IndexVersion.retired_at.desc())
        .limit(1)
    )
    if before is None:
        raise Conflict(
            "There is no earlier index version to go back to: none was live before, or its retention has ended.",
            code="nothing_to_roll_back",
        )
    await _switch(session, store_id, before, VersionState.READY)
    await history.note(session, store_id, before.id, EventKind.ROLLED_BACK, because)
    return before


async def delete(session: AsyncSession, store_id: str, version_id: str, because: Because) -> IndexVersion:
    """Give a version up, or cancel its build. What it holds is erased afterwards. Raises Conflict for the live one."""
    await versions.alone(session, store_id)
    version = await versions.get(session, store_id, version_id)
    if version.state == VersionState.LIVE:
        raise Conflict(
            f"The index version '{version_id}' is live. Promote another one or roll back before you delete it.",
            code="version_live",
            param="index_version",
        )
    if version.state != VersionState.DELETED:
        version.state, version.deleted_at = VersionState.DELETED, time.time()
        version.shadow_share = version.canary_share = 0.0
        await history.note(session, store_id, version.id, EventKind.DELETED, because)
    return version


async def stores_with_expired(session: AsyncSession, retention_s: float) -> list[str]:
    """Stores that have versions past their retention."""
    query = select(IndexVersion.store_id).where(*_past(retention_s)).distinct()
    return list(await session.scalars(query.limit(100)))


async def expire(session: AsyncSession, store_id: str, retention_s: float) -> None:
    """Give up the versions of a store that were live before and are past their retention."""
    await versions.alone(session, store_id)  # one that is made live again at this moment is not past it any more
    query = select(IndexVersion.id).where(IndexVersion.store_id == store_id, *_past(retention_s))
    for version_id in await session.scalars(query):
        await delete(session, store_id, version_id, Because(reason="past its retention"))


async def unerased(session: AsyncSession, grace_s: float) -> list[IndexVersion]:
    """Deleted versions of which something may be left, once nobody can be reading or writing them any more.

    Searches are over after `grace_s`. Whoever is at a revision since before the deletion may still write it there, and
    would make the version in the engine again.
    """
    now = time.time()
    still_writing = exists().where(
        Revision.store_id == IndexVersion.store_id,
        Revision.lease_until >= now,
        Revision.started_at <= IndexVersion.deleted_at,
    )
    query = select(IndexVersion).where(
        IndexVersion.state == VersionState.DELETED,
        ~IndexVersion.erased,
        IndexVersion.deleted_at < now - grace_s,
        IndexVersion.lease_until < now,
        ~still_writing,
    )
    return list(await session.scalars(query.order_by(IndexVersion.seq).limit(100)))


async def note_erased(session: AsyncSession, version_id: str) -> None:
    """Note that nothing of a deleted version is left."""
    await session.execute(delete_rows(Holding).where(Holding.version_id == version_id))
    await session.execute(update(IndexVersion).where(IndexVersion.id == version_id).values(erased=True))


async def set_traffic(
    session: AsyncSession, version: IndexVersion, shadow_share: float, canary_share: float, because: Because
) -> None:
    """Let a version that is whole run beside live queries, or answer some of them. Raises Conflict for any other."""
    await versions.alone(session, version.store_id)
    await session.refresh(version)
    if version.state not in (VersionState.READY, VersionState.RETIRED):
        raise Conflict(
            f"The index version '{version.id}' is {version.state.value}: only one that is ready, or was live before, "
            "can take a share of the live queries.",
            code="version_not_ready",
            param="index_version",
        )
    version.shadow_share, version.canary_share = shadow_share, canary_share
    reason = f"shadow {shadow_share:g}, canary {canary_share:g}" + (f": {because.reason}" if because.reason else "")
    await history.note(session, version.store_id, version.id, EventKind.TRAFFIC, Because(because.actor, reason))


async def candidates(session: AsyncSession, store_id: str) -> Sequence[IndexVersion]:
    """Ready versions that take part in live traffic."""
    query = select(IndexVersion).where(
        IndexVersion.store_id == store_id,
        IndexVersion.state.in_((VersionState.READY, VersionState.RETIRED)),
        (IndexVersion.shadow_share > 0) | (IndexVersion.canary_share > 0),
    )
    return list(await session.scalars(query.order_by(IndexVersion.seq)))


def _past(retention_s: float) -> tuple[ColumnElement[bool], ...]:
    return IndexVersion.state == VersionState.RETIRED, IndexVersion.retired_at < time.time() - retention_s


async def _switch(session: AsyncSession, store_id: str, to: IndexVersion, before_becomes: VersionState) -> None:
    now = time.time()
    retired_at = now if before_becomes == VersionState.RETIRED else None
    await session.execute(
        update(IndexVersion)
        .where(IndexVersion.store_id == store_id, IndexVersion.state == VersionState.LIVE)
        .values(state=before_becomes, retired_at=retired_at)
    )
    to.state, to.promoted_at, to.retired_at = VersionState.LIVE, now, None
    to.shadow_share = to.canary_share = 0.0
    await session.execute(update(Store).where(Store.id == store_id).values(live_version=to.id))
