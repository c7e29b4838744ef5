"""Opens index versions, tells one that was never written to from one that is gone, and sees that it comes back."""

import asyncio
import logging

from indexes.catalog import holdings, restoring
from indexes.catalog.database import Database
from indexes.catalog.versions import Version
from indexes.errors import IndexDamaged, NotFound, PointsLost
from indexes.index import Engine, Index

log = logging.getLogger(__name__)
_LOOKS = 3


async def opened(database: Database, engine: Engine, version: Version) -> Index:
    """The version as the engine has it.

    Raises IndexDamaged where it is gone or cannot be read, and NotFound where nothing was ever written to it.
    """
    try:
        return await asyncio.to_thread(engine.open, version.id, version.manifest)
    except NotFound:
        async with database.read() as session:
            if not await restoring.holds_any(session, version.id):
                raise
    try:  # it may have been made between the two looks
        return await asyncio.to_thread(engine.open, version.id, version.manifest)
    except NotFound as error:
        raise IndexDamaged(f"Index version {version.id} is gone. A worker fills it again.") from error


async def counted(database: Database, engine: Engine, version: Version, store_id: str) -> None:
    """Raises PointsLost where the version has fewer points than were seen in it, and IndexDamaged as `opened` does.

    One look may be wrong, since documents come and go between its two halves: all of some must say so.
    """
    for _ in range(_LOOKS):
        async with database.read() as session:
            expected = (await holdings.held(session, version.id, store_id)).chunks
        try:
            index = await opened(database, engine, version)
        except NotFound:
            return
        stored = await asyncio.to_thread(index.count)
        if stored >= expected:
            return
    raise PointsLost(f"Index version {version.id} has {stored} of {expected} chunks. A worker restores the others.")


async def report(database: Database, version_id: str, fence: int, damage: IndexDamaged) -> None:
    """Have a version restored that was seen damaged when its row had this fence; once, whoever reports it again."""
    async with database.write() as session:
        note = restoring.note_lost if isinstance(damage, PointsLost) else restoring.note_damaged
        noted = await note(session, version_id, fence, damage.message)
    if noted:
        log.error("index version %s will be restored from the catalog: %s", version_id, damage.message)
