"""Holds what index versions store against what the catalog says, and has restored what is lost.

A version is opened now and then, and counted once in the life of a worker: what was lost while no worker ran is found
at the next start, and what is lost while one runs is found by whoever meets it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from indexes.catalog import holdings, restoring, revisions, versions
from indexes.catalog.database import Database
from indexes.catalog.tables import IndexVersion
from indexes.errors import CitewellError, IndexDamaged, NotFound
from indexes.index import Engine, Index
from indexes.standing import opened, report

log = logging.getLogger(__name__)

LOOK_S = 30.0
"""How long between two looks at every version."""


@dataclass(frozen=True, slots=True)
class Stock:
    """How many chunks the catalog expects of each revision; of which of them others are stored, or fewer; and what is
    stored that should not be."""

    expected: dict[str, int]
    wrong: Sequence[str]
    lacking: Sequence[str]
    strays: Sequence[str]


async def taken(database: Database, index: Index, version: IndexVersion) -> Stock:
    """The stock of one version.

    Work goes on meanwhile: only what the catalog said both before and after is held against the index.
    """
    async with database.read() as session:
        before = await holdings.chunks_by_revision(session, version)
    stored = await asyncio.to_thread(index.inventory)
    async with database.read() as session:
        after = await holdings.chunks_by_revision(session, version)
        strays = await revisions.without_points(session, list(stored.keys() - before.keys() - after.keys()))
    expected = {ident: count for ident, count in before.items() if after.get(ident) == count}
    wrong = [ident for ident, count in expected.items() if stored.get(ident, 0) != count]
    lacking = [ident for ident in wrong if stored.get(ident, 0) < expected[ident]]
    return Stock(expected, wrong, lacking, strays)


class Stocktaker:
    """Looks after the versions of all stores, for one worker; several do no harm."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine
        self._counted: set[str] = set()

    async def once(self) -> None:
        """Look at every version that should be whole."""
        async with self._database.read() as session:
            rows = await restoring.standing(session)
        self._counted &= {row.id for row in rows}
        for row in rows:
            try:
                await self._look(row)
            except IndexDamaged as damage:
                await report(self._database, row.id, row.fence, damage)
            except CitewellError as error:
                log.warning("index version %s could not be looked at: %s", row.id, error.message)

    async def _look(self, row: IndexVersion) -> None:
        try:
            index = await opened(self._database, self._engine, versions.opened_as(row))
        except NotFound:
            return
        if row.id in self._counted:
            await asyncio.to_thread(index.count)  # a server says that it has lost something only when it is asked
            return
        began = time.monotonic()
        lacking = (await taken(self._database, index, row)).lacking
        self._counted.add(row.id)
        if lacking:
            async with self._database.write() as session:
                why = f"It lacked points of {len(lacking)} documents."
                noted = await restoring.note_lost(session, row.id, row.fence, why, lacking)
            if noted:
                log.error("index version %s lacks points of %d documents; they are restored", row.id, len(lacking))
        await asyncio.sleep(time.monotonic() - began)  # it has time, and what else the process does has not
