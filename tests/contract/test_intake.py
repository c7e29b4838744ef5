"""What owners do at once, again, or while something else goes on."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from api.state import Storage, working
from indexes.catalog import responses, revisions, stores, versions
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.pages import Cursor
from indexes.catalog.tables import Store
from indexes.errors import Conflict, NotFound
from indexes.filters import Comparison, Operator
from indexes.lexical import Analyser
from indexes.manifest import Chunking
from ingestion.intake import Upload, Wanted
from ingestion.reconcile import Reconciler
from ingestion.valkey import Valkey
from retrieval.query import Query
from retrieval.search import Searcher
from retrieval.settings import SearchSettings


async def test_the_last_change_of_attributes_is_what_filters_see(ingest: Any, storage: Storage) -> None:
    async with working(storage):
        store = await ingest.store()
        file = await ingest.attach(store, "a.txt", "The gate opens at six.")
        await ingest.completed(store, file)
        change = storage.intake.set_attributes
        await asyncio.gather(*(change("p", store.id, file.id, {"n": f"{number}"}) for number in range(8)))
        await Reconciler(storage.database, storage.eraser, storage.intake, retention_s=60).once()
        async with storage.database.read() as session:
            revision = await revisions.get(session, store.id, file.id)
            (version,) = await versions.kept(session, store.id)
        index = storage.engine.open(version.id, version.manifest)
        terms = Analyser(version.manifest.lexical).query("gate")
        found = [n for n in range(8) if index.lexical(terms, 9, Comparison("n", Operator.EQ, f"{n}"))]
        assert revision.attributes_synced
        assert [f"{n}" for n in found] == [revision.attributes["n"]]


async def test_a_file_on_its_way_again_is_one_entry_and_one_document(ingest: Any, storage: Storage) -> None:
    async with working(storage):
        store = await ingest.store()
        file = await ingest.attach(store, "a.txt", "The gate opens at six.")
        await ingest.completed(store, file)
    again = Wanted(file.id, None, {}, Chunking(100, 0))
    await storage.intake.attach("p", store.id, again, None)
    await ingest.attach(store, "b.txt", "Another.")
    async with storage.database.read() as session:
        page = await revisions.listing(session, store.id, Cursor(limit=10))
    assert sorted(row.filename for row in page.rows) == ["a.txt", "b.txt"]
    await storage.intake.set_attributes("p", store.id, file.id, {"secret": True})
    async with storage.database.read() as session:
        both = await revisions.of_keys(session, store.id, ["a.txt"])
    assert [row.attributes for row in both] == [{"secret": True}] * 2


async def test_a_batch_sent_again_takes_nothing_from_the_first(ingest: Any, storage: Storage) -> None:
    store = await ingest.store()
    file = await ingest.attach(store, "a.txt", "The gate opens at six.")
    wanted = [Wanted(file.id, None, {}, None)]
    first = await storage.intake.attach_batch("p", store.id, wanted, None)
    second = await storage.intake.attach_batch("p", store.id, wanted, None)
    async with storage.database.read() as session:
        counts = await stores.batch_counts(session, [first.id, second.id])
    assert [one.in_progress for one in counts.values()] == [1, 1]


async def test_a_store_that_is_searched_does_not_expire(ingest: Any, storage: Storage) -> None:
    store = await ingest.store()
    long_ago = time.time() - 90_000
    async with storage.database.write() as session:
        old = update(Store).where(Store.id == store.id).values(expires_after_days=1, last_active_at=long_ago)
        await session.execute(old)
    async with storage.database.read() as session:
        (found,) = await stores.unwanted(session)
    searcher = Searcher.unobserved(storage.database, storage.engine, storage.models, SearchSettings())
    await searcher.search("p", store.id, Query(("gate",), 5))
    await storage.intake.expire_store(found)
    async with storage.database.write() as session:
        assert (await stores.get(session, "p", store.id)).id == store.id
        await session.execute(old)
    await Reconciler(storage.database, storage.eraser, storage.intake, retention_s=60).once()
    async with storage.database.read() as session:
        with pytest.raises(NotFound):
            await stores.get(session, "p", store.id)


async def test_one_idempotency_key_at_once_keeps_one_file(storage: Storage, tmp_path: Path) -> None:
    async def upload(number: int) -> str:
        path = tmp_path / f"{number}"
        path.write_text("bytes")
        given = Upload(path, "0" * 64, 5, "a.txt", "user_data")
        try:
            return (await storage.intake.upload("p", given, Idempotency("k", "same"))).id
        except Conflict as refusal:
            return refusal.code

    outcomes = set(await asyncio.gather(*(upload(number) for number in range(6))))
    assert len(outcomes - {"idempotency_in_progress"}) == 1
    kept = [path for path in (storage.settings.home / "blobs" / "files").rglob("*") if path.is_file()]
    assert len(kept) == 1


async def test_a_continued_answer_goes_with_what_it_continues(ingest: Any, storage: Storage) -> None:
    async with working(storage):
        store = await ingest.store()
        file = await ingest.attach(store, "a.txt", "The code is 4711.")
        await ingest.completed(store, file)
        async with storage.database.read() as session:
            source = (await revisions.get(session, store.id, file.id)).id
        said = {"type": "message", "content": [{"type": "output_text", "text": "4711"}]}
        async with storage.database.write() as session:
            await responses.store(session, "p", {"id": "resp_1", "output": [said]}, [], {source})
            continued = await responses.sources(session, "resp_1")
            await responses.store(session, "p", {"id": "resp_2", "output": [said]}, [], continued)
        receipt = await storage.intake.delete_file(file)
        async with storage.database.read() as session:
            bodies = [(await responses.get(session, "p", one)).body for one in ("resp_1", "resp_2")]
            assert not await responses.alive(session, {source})
    assert receipt.responses.found == 2
    assert "4711" not in str(bodies)


async def test_a_damaged_queue_is_put_aside(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "queue")
    await server.start()
    await server.stop()
    (manifest,) = (tmp_path / "queue").rglob("*.manifest")
    manifest.write_bytes(b"\x00" * 40)
    again = Valkey(tmp_path / "queue")
    await again.start()
    await again.stop()
    assert list(tmp_path.glob("queue.damaged-*"))
