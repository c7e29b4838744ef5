"""Attaching many at once is attaching one by one, only faster."""

import random

import pytest
from sqlalchemy import select

from indexes.catalog import revisions
from indexes.catalog.attaching import attach_all
from indexes.catalog.database import Database
from indexes.catalog.revisions import Attachment
from indexes.catalog.tables import Batch, BatchRevision, File, Revision, Store
from indexes.errors import Conflict
from indexes.ids import Kind, new_id

Outcome = list[tuple[str, str, str, bool]] | str


async def make_store(database: Database) -> tuple[str, str]:
    store = Store(id=new_id(Kind.STORE), project="p", name="s", live_version=new_id(Kind.VERSION))
    batch = Batch(id=new_id(Kind.BATCH), store_id=store.id)
    async with database.write() as session:
        session.add(store)
        await session.flush()
        session.add(batch)
    return store.id, batch.id


def file(number: int) -> File:
    """Two of three files have bytes of their own."""
    return File(id=f"file-{number}", sha256=f"{number - number % 3 // 2}", filename="a.md", bytes=1)


async def outcome(database: Database, wanted: list[list[Attachment]], *, at_once: bool) -> Outcome:
    """The revisions of a store after some batches, or the refusal, in words that do not name the store."""
    store_id, batch_id = await make_store(database)
    try:
        for some in wanted:
            async with database.write() as session:
                if at_once:
                    given = await attach_all(session, store_id, some, batch_id)
                else:
                    given = [await revisions.attach(session, store_id, one, batch_id) for one in some]
                assert [row.key for row in given] == [one.key for one in some]
    except Conflict as refusal:
        return refusal.code
    async with database.read() as session:
        rows = list(await session.scalars(select(Revision).where(Revision.store_id == store_id).order_by(Revision.seq)))
        noted = set(await session.scalars(select(BatchRevision.revision_id).where(BatchRevision.batch_id == batch_id)))
    return sorted((row.key, row.file_id, row.sha256, row.id in noted) for row in rows)


@pytest.mark.parametrize("seed", range(8))
async def test_many_at_once_are_many_one_by_one(database: Database, seed: int) -> None:
    dice = random.Random(seed)
    # One key to a file in half of the cases: then nothing is refused, and files and bytes still come again.
    keys = dice.choice((3, 0))
    wanted = []
    for size in (dice.randrange(1, 12), dice.randrange(1, 12)):
        numbers = [dice.randrange(15) for _ in range(size)]
        wanted.append(
            [Attachment(file(one), f"key {dice.randrange(keys) if keys else one // 2}", {}) for one in numbers]
        )
    assert await outcome(database, wanted, at_once=True) == await outcome(database, wanted, at_once=False)
