"""Keeps a lease while its work goes on, and stops the work when the lease is lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.database import Database
from indexes.errors import LeaseLost, Unavailable

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_alive(
    database: Database, renewed: Callable[[AsyncSession], Awaitable[None]], lease_s: float
) -> AsyncIterator[None]:
    """Renew a lease three times in each of its lengths until the block ends.

    `renewed` does it in a transaction and raises LeaseLost where somebody else has the lease. Then LeaseLost is raised
    inside the block's task at once.
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
                    await renewed(session)
            except LeaseLost:
                lost = True
                task.cancel()
                return
            except Unavailable as error:
                log.warning("a lease could not be renewed, trying again: %s", error.message)
            except Exception:  # whatever it is, others would take over work that goes on
                log.exception("a lease could not be renewed, trying again")

    heartbeat = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            task.uncancel()
            raise LeaseLost("The work was taken over.") from None
        raise
    finally:
        heartbeat.cancel()
