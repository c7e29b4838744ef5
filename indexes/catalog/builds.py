"""Building an index version: who works on it, how far it is, how it ends.

A build is owned by lease and fence, as the work on a revision is. What is left to do is asked of the catalog each time
(`holdings.missing`), so a build that is taken over goes on where it was.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import history, holdings
from indexes.catalog.history import Because
from indexes.catalog.tables import IndexVersion, Revision, Store, VersionState
from indexes.catalog.version_tables import EventKind
from indexes.catalog.versions import SEARCHABLE, alone
from indexes.errors import Conflict, LeaseLost
from indexes.ids import Kind, new_id
from indexes.manifest import Manifest


@dataclass(frozen=True, slots=True)
class BuildLease:
    """The right to build one version until it ends or another worker takes over."""

    version_id: str
    owner: str
    fence: int


async def create(session: AsyncSession, store_id: str, manifest: Manifest, because: Because) -> IndexVersion:
    """Begin a build. From this transaction on every write to the store goes to it as well (I8)."""
    await alone(session, store_id)
    version = IndexVersion(
        id=new_id(Kind.VERSION),
        store_id=store_id,
        state=VersionState.BUILDING,
        manifest=manifest.to_json(),
        manifest_hash=manifest.hash,
    )
    session.add(version)
    await history.note(session, store_id, version.id, EventKind.CREATED, because)
    await session.flush()
    return version


async def claim(session: AsyncSession, owner: str, lease_s: float, *, restoring: bool = False) -> IndexVersion | None:
    """Take over the oldest build that is due, or the oldest version to be restored; None if there is none."""
    now = time.time()
    due = (_RESTORING if restoring else _BUILDING, *_due(now))
    oldest = select(IndexVersion.seq).where(*due).order_by(IndexVersion.seq).limit(1)
    statement = (
        update(IndexVersion)
        .where(IndexVersion.seq == oldest.with_for_update(skip_locked=True).scalar_subquery(), *due)
        .values(lease_owner=owner, lease_until=now + lease_s, fence=IndexVersion.fence + 1)
        .returning(IndexVersion)
    )
    return await session.scalar(statement)


async def renew(session: AsyncSession, lease: BuildLease, lease_s: float) -> None:
    """Push the end of a lease out. Raises LeaseLost, also where the build was paused or cancelled."""
    await _change(session, lease, {"lease_until": time.time() + lease_s})


async def progress(session: AsyncSession, lease: BuildLease, embedded: int, reused: int, build_s: float) -> None:
    """Add to what the build has cost so far. Raises LeaseLost."""
    values = {
        "embedded": IndexVersion.embedded + embedded,
        "reused": IndexVersion.reused + reused,
        "build_s": IndexVersion.build_s + build_s,
        "attempts": 0,  # it gets on: what failed before was an outage
        "error": None,
    }
    await _change(session, lease, values)


async def release(session: AsyncSession, lease: BuildLease) -> None:
    """Give the lease back unfinished."""
    await session.execute(
        update(IndexVersion)
        .where(IndexVersion.id == lease.version_id, IndexVersion.fence == lease.fence)
        .values(lease_until=0.0, lease_owner=None)
    )


async def count_attempt(session: AsyncSession, lease: BuildLease, message: str) -> int:
    """Note an attempt that failed, and why; how many did since the build last got on. Raises LeaseLost."""
    await _change(session, lease, {"error": message, "attempts": IndexVersion.attempts + 1})
    return await session.scalar(select(IndexVersion.attempts).where(IndexVersion.id == lease.version_id)) or 0


async def postpone(session: AsyncSession, lease: BuildLease, delay_s: float) -> None:
    """Give the lease back and try again later. Raises LeaseLost."""
    await _change(session, lease, {"next_attempt_at": time.time() + delay_s, **_NOBODYS})


async def fail(session: AsyncSession, lease: BuildLease, message: str) -> None:
    """End a build that cannot succeed. Raises LeaseLost."""
    store_id = await _change(session, lease, {"state": VersionState.FAILED, "error": message, **_NOBODYS})
    await history.note(session, store_id, lease.version_id, EventKind.FAILED, Because(reason=message))


async def left(session: AsyncSession, version: IndexVersion, after_seq: int, limit: int) -> list[Revision]:
    """Revisions that the version lacks, in the order of their `seq`."""
    query = select(Revision).where(holdings.missing(version), Revision.seq > after_seq)
    return list(await session.scalars(query.order_by(Revision.seq).limit(limit)))


async def finish(session: AsyncSession, lease: BuildLease, inventory_hash: str) -> bool:
    """Make the version ready, or whole again, unless something written meanwhile is missing. Raises LeaseLost."""
    version = await session.scalar(select(IndexVersion).where(IndexVersion.id == lease.version_id))
    if version is None:
        raise LeaseLost(f"The index version {lease.version_id} was deleted.")
    await alone(session, version.store_id)
    if not await holdings.is_complete(session, version):
        return False
    values: dict[str, object] = {"inventory_hash": inventory_hash, "restoring_since": None, "error": None, **_NOBODYS}
    building = version.state == VersionState.BUILDING
    if building:
        values |= {"state": VersionState.READY, "ready_at": time.time()}
    await _change(session, lease, values)
    kind = EventKind.READY if building else EventKind.REPAIRED
    await history.note(session, version.store_id, version.id, kind, Because())
    return True


async def pause(session: AsyncSession, version: IndexVersion, because: Because) -> None:
    """Stop working on a build until it is resumed. Raises Conflict where it is not being built."""
    await _switch(session, version, {"paused": True}, (VersionState.BUILDING,), "paused")
    await history.note(session, version.store_id, version.id, EventKind.PAUSED, because)


async def resume(session: AsyncSession, version: IndexVersion, because: Because) -> None:
    """Go on with a build that was paused, or try a failed one again. Raises Conflict where it is neither."""
    values = {"paused": False, "state": VersionState.BUILDING, "attempts": 0, "next_attempt_at": 0.0, "error": None}
    await alone(session, version.store_id)
    await holdings.doubt_failed(session, version.id)
    await _switch(session, version, values, (VersionState.BUILDING, VersionState.FAILED), "resumed")
    await history.note(session, version.store_id, version.id, EventKind.RESUMED, because)


async def _switch(
    session: AsyncSession,
    version: IndexVersion,
    values: dict[str, object],
    states: Sequence[VersionState],
    said: str,
) -> None:
    statement = (
        update(IndexVersion)
        .where(IndexVersion.id == version.id, IndexVersion.state.in_(states))
        .values(**values)
        .returning(IndexVersion)
    )
    if await session.scalar(statement, execution_options={"populate_existing": True}) is None:
        raise Conflict(
            f"The index version '{version.id}' is {version.state.value}: only a build can be {said}.",
            code="not_building",
            param="index_version",
        )


_NOBODYS: dict[str, object] = {"lease_until": 0.0, "lease_owner": None}
_BUILDING = (IndexVersion.state == VersionState.BUILDING) & ~IndexVersion.paused
_RESTORING = IndexVersion.state.in_(SEARCHABLE) & IndexVersion.restoring_since.is_not(None)
_UNDER_WAY = (
    _BUILDING | _RESTORING,
    IndexVersion.store_id.in_(select(Store.id).where(~Store.deleting)),
)


def _due(now: float) -> tuple[ColumnElement[bool], ...]:
    return (
        *_UNDER_WAY,
        IndexVersion.lease_until < now,
        IndexVersion.next_attempt_at <= now,
    )


async def _change(session: AsyncSession, lease: BuildLease, values: dict[str, object]) -> str:
    """Change the row if the lease still holds; the store's id. Raises LeaseLost."""
    mine = (
        IndexVersion.id == lease.version_id,
        IndexVersion.fence == lease.fence,
        IndexVersion.lease_owner == lease.owner,
        *_UNDER_WAY,
    )
    statement = update(IndexVersion).where(*mine).values(**values).returning(IndexVersion.store_id)
    store_id = await session.scalar(statement, execution_options={"synchronize_session": False})
    if store_id is None:
        raise LeaseLost(f"The build of {lease.version_id} was taken over, paused or cancelled, or its store deleted.")
    return store_id
