"""What passes is waited for: databases that cannot be reached, slow documents, slow erasers, texts that are lost; keys
are not kept for ever."""

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from indexes.catalog.database import Database, open_database
from indexes.catalog.idempotency import KEPT_S
from indexes.catalog.tables import ChunkRow, IdempotencyKey, RevisionState, Store, VersionState
from indexes.errors import Deferred, Unavailable
from indexes.manifest import Chunking
from indexes.settings import CatalogSettings
from ingestion import rebuild
from ingestion.erase import text_key
from ingestion.leases import kept_alive
from tests.workshop import Workshop

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


async def test_a_database_that_cannot_be_reached_is_an_outage(tmp_path: Path) -> None:
    database = open_database(CatalogSettings(url=SecretStr(NOBODY)), tmp_path)
    for transaction in (database.read, database.write):
        with pytest.raises(Unavailable, match="cannot be reached"):
            async with transaction() as session:
                await session.scalar(select(1))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await database.snapshot(lambda connection: connection.scalar(select(1)))
    await database.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_a_deadlock_is_an_outage_of_one_of_the_two(database: Database) -> None:
    async with database.write() as session:
        session.add_all(Store(id=ident, project="p", meta={}, live_version="v") for ident in "ab")

    async def renamed(first: str, then: str) -> None:
        async with database.write() as session:
            await session.execute(update(Store).where(Store.id == first).values(name=first))
            await asyncio.sleep(0.3)
            await session.execute(update(Store).where(Store.id == then).values(name=then))

    ended = await asyncio.gather(renamed("a", "b"), renamed("b", "a"), return_exceptions=True)
    (loser,) = (one for one in ended if one is not None)
    assert isinstance(loser, Unavailable)


async def test_a_lease_is_kept_through_errors_that_nobody_foresaw() -> None:
    renewals = 0

    class Restarting:
        @asynccontextmanager
        async def write(self) -> Any:
            nonlocal renewals
            renewals += 1
            if renewals < 3:
                raise ConnectionRefusedError(111, "it restarts")
            yield None

    async def renewed(session: object) -> None:
        pass

    database: Any = Restarting()
    async with kept_alive(database, renewed, 0.03):
        while renewals < 5:
            await asyncio.sleep(0.01)


async def test_waiting_for_other_slow_documents_is_no_failed_attempt(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    await workshop.upload(store, "slow", "A rule that takes long to read.")
    parse, put_off = workshop.plain.parse, 0

    async def busy(path: Path, filename: str) -> object:
        nonlocal put_off
        put_off += 1
        if put_off <= 3 * workshop.settings.outage_attempts:
            raise Deferred("Others come first.")
        return await parse(path, filename)

    monkeypatch.setattr(workshop.plain, "parse", busy)
    await workshop.work()
    (row,) = (await workshop.revisions(store)).values()
    assert (row.state, row.attempts) == (RevisionState.CURRENT, 1)


async def test_a_build_says_which_text_is_lost_and_lets_others_go_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_IDLE_S", 0.0)
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    for key in ("kept", "lost"):
        await workshop.upload(store, key, f"The rule of {key}. " * 9)
    await workshop.work()
    lost = next(row for row in (await workshop.revisions(store)).values() if row.key == "lost")
    workshop.blobs.delete(text_key(lost.id))
    version = await workshop.begin(store, chunking=Chunking(16, 0))
    await workshop.build()
    stuck = await workshop.version(version.id)
    assert stuck.state == VersionState.FAILED
    assert "'lost'" in (stuck.error or "")


async def test_an_eraser_that_takes_longer_than_its_lease_keeps_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.catalog.erasing.LEASE_S", 0.3)
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule that is old.")
    await workshop.work()
    await workshop.upload(store, "a", "A rule that is new.")
    erase, loop, held = workshop.eraser._erase_points, asyncio.get_running_loop(), []

    async def is_held(ident: str) -> bool:
        return (await workshop.revisions(store))[ident].lease_until > time.time()

    def slowly(held_in: Any, ident: str) -> None:
        time.sleep(1)
        held.append(asyncio.run_coroutine_threadsafe(is_held(ident), loop).result())
        erase(held_in, ident)

    monkeypatch.setattr(workshop.eraser, "_erase_points", slowly)
    await workshop.work()
    await workshop.reconciler.once()
    assert held == [True]


async def test_nothing_is_left_of_what_failed_and_was_superseded(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    first = await workshop.upload(store, "a", "The rule is one. " * 20)

    async def broken(_embedder: object, _texts: object) -> None:
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr("tests.workshop.CountedEmbedder.documents", broken)
        await workshop.work()
    await workshop.reconciler.once()
    await workshop.upload(store, "a", "A new rule now. " * 20)
    await workshop.work()
    await workshop.reconciler.once()
    async with database.read() as session:
        assert await session.scalar(select(ChunkRow.id).where(ChunkRow.revision_id == first.id)) is None
    await workshop.check(store)


async def test_idempotency_keys_are_forgotten_after_a_day(database: Database, tmp_path: Path) -> None:
    workshop = Workshop(database, tmp_path)
    async with database.write() as session:
        for key, age_s in (("old", KEPT_S + 60), ("young", KEPT_S - 60)):
            row = IdempotencyKey(project="p", key=key, fingerprint="f", resource_id="r", created_at=time.time() - age_s)
            session.add(row)
    await workshop.reconciler.once()
    async with database.read() as session:
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["young"]
