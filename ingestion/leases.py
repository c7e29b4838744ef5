"""Keeps a lease while its work goes on, and stops the work when the lease is lost."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from indexes.catalog import work
from indexes.catalog.database import Database
from indexes.catalog.work import Lease
from indexes.errors import LeaseLost, Unavailable

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_alive(database: Database, lease: Lease, lease_s: float) -> AsyncIterator[None]:
    """Renew the lease three times in each of its lengths until the block ends.

    Raises LeaseLost inside the block's task as soon as a renewal finds it gone.
    """
    task = asyncio.current_task()
    assert task is not None
    lost = False

    async def renew() -> None:
        nonlocal lost
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                async with database.write() as session:
                    await work.renew(session, lease, lease_s)
            except Unavailable as error:
                log.warning("a lease could not be renewed, trying again: %s", error.message)
            except LeaseLost:
                lost = True
                task.cancel()
                return

    heartbeat = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            task.uncancel()
            raise LeaseLost(f"The work on {lease.revision_id} was taken over.") from None
        raise
    finally:
        heartbeat.cancel()
