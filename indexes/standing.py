"""Opens index versions, and tells one that was never written to from one that is gone."""

import asyncio

from indexes.catalog import restoring
from indexes.catalog.database import Database
from indexes.catalog.versions import Version
from indexes.errors import IndexDamaged, NotFound
from indexes.index import Engine, Index


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
