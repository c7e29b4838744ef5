"""Keeps what may soon answer warm: a promote or rollback made in any process meets no cold first query in this one."""

import asyncio
import contextlib
import logging

from indexes.catalog import versions
from indexes.catalog.database import Database
from indexes.catalog.tables import VersionState
from indexes.catalog.versions import opened_as
from indexes.errors import CitewellError, IndexDamaged, Overloaded, StorageFull, Unavailable
from indexes.standing import report
from retrieval.ranking import Ranker

log = logging.getLogger(__name__)
_EVERY_S = 3.0
_MOST = 16  # an engine keeps a bounded number of versions open, and those that answer now need most of them


class Warmer:
    """Opens the versions that can be made live, and loads their models: each once, for one process."""

    def __init__(self, database: Database, ranker: Ranker) -> None:
        self._database = database
        self._ranker = ranker
        self._warmed: set[str] = set()

    async def run(self) -> None:
        """Look for new ones every few seconds, until cancelled."""
        while True:
            try:
                await self.once()
            except CitewellError as error:
                log.warning("warming up stopped and will be tried again: %s", error.message)
            except Exception:
                log.exception("warming up stopped and will be tried again")
            await asyncio.sleep(_EVERY_S)

    async def once(self) -> None:
        """Warm up the newest of them that are not warm yet."""
        async with self._database.read() as session:
            newest = await versions.newest(session, (VersionState.READY, VersionState.RETIRED), _MOST)
        self._warmed &= {row.id for row in newest}
        for row in newest:
            if row.id in self._warmed:
                continue
            try:
                await self._ranker.warm(opened_as(row))
            except IndexDamaged as damage:  # it stops no other, and is warmed up once it is restored
                with contextlib.suppress(StorageFull):  # a worker will find it too
                    await report(self._database, row.id, row.fence, damage)
                continue
            except (Unavailable, Overloaded):
                raise
            except CitewellError as error:  # such as a model that is not installed any more: it stays like that
                log.warning("index version %s cannot be warmed up: %s", row.id, error.message)
            self._warmed.add(row.id)
