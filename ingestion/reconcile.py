"""Finds what a crash or the clock left to clean up, and does it (I2). It runs beside every worker."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from indexes.catalog import files, holdings, idempotency, promotion, stores, work
from indexes.catalog.database import Database
from indexes.errors import CitewellError
from ingestion.erase import Eraser
from ingestion.intake import Intake

log = logging.getLogger(__name__)
_AT_ONCE = 100
_GRACE_S = 60.0  # by then searches that began in a version before it was given up are over


class Reconciler:
    """Each pass is safe to run at any time, any number of times, in several processes."""

    def __init__(self, database: Database, eraser: Eraser, intake: Intake, retention_s: float) -> None:
        """`retention_s` is how long a version that was live is kept to go back to."""
        self._database = database
        self._eraser = eraser
        self._intake = intake
        self._retention_s = retention_s

    async def run(self, every_s: float) -> None:
        """Pass after pass, until cancelled."""
        await repeated(self.once, every_s)

    async def once(self) -> None:
        """One pass over everything."""
        async with self._database.read() as session:
            leftovers = await work.leftovers(session, _AT_ONCE)
            unsynced = await work.unsynced(session, _AT_ONCE)
            old_files = await files.expired(session)
            old_stores = await stores.unwanted(session)
            old_keys = await idempotency.any_old(session)
        # One by one and apart: what cannot be cleaned up now must not keep the rest from it.
        for revision in leftovers:
            await _tried(self._eraser.revision(revision))
        for revision in unsynced:
            await _tried(self._intake.sync_attributes(revision))
        for file in old_files:
            await _tried(self._intake.delete_file(file))
        for store in old_stores:
            await _tried(self._intake.expire_store(store))
        if old_keys:
            await _tried(self._forget_keys())
        await self._versions()

    async def _versions(self) -> None:
        """Give up versions past their retention, and erase those that were given up."""
        async with self._database.read() as session:
            expired = await promotion.stores_with_expired(session, self._retention_s)
            unerased = await promotion.unerased(session, _GRACE_S)
            orphans = await holdings.orphans(session, _AT_ONCE)
        for store_id in expired:
            await _tried(self._expire(store_id))
        for version in unerased:
            await _tried(self._eraser.version(version))
        for holding in orphans:
            await _tried(self._eraser.orphan(holding))

    async def _forget_keys(self) -> None:
        async with self._database.write() as session:
            await idempotency.forget_old(session)

    async def _expire(self, store_id: str) -> None:
        async with self._database.write() as session:
            await promotion.expire(session, store_id, self._retention_s)


async def repeated(step: Callable[[], Awaitable[object]], every_s: float) -> None:
    """The step, again and again whatever becomes of it, until cancelled."""
    while True:
        try:
            await step()
        except CitewellError as error:
            log.warning("cleaning up stopped early and will be tried again: %s", error.message)
        except Exception:
            log.exception("cleaning up failed and will be tried again")
        await asyncio.sleep(every_s)


async def _tried(step: Awaitable[object]) -> None:
    try:
        await step
    except CitewellError as error:
        log.warning("something could not be cleaned up and will be tried again: %s", error.message)
