"""Opens index versions, tells one that was never written to from one that is gone, and sees that it comes back."""

import asyncio
import logging

from indexes.catalog import restoring
from indexes.catalog.database import Database
from indexes.catalog.versions import Version
from indexes.errors import IndexDamaged, NotFound
from indexes.index import Engine, Index

log = logging.getLogger(__name__)


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
        raise IndexDamaged(f"Index version {version.id} is gone. It is filled again by a worker.") from error


async def report(database: Database, version_id: str, fence: int, damage: IndexDamaged) -> None:
    """Have a version restored that was seen damaged when its row had this fence; once, whoever reports it again."""
    async with database.write() as session:
        noted = await restoring.note_damaged(session, version_id, fence, damage.message)
    if noted:
        log.error("index version %s will be restored from the catalog: %s", version_id, damage.message)
