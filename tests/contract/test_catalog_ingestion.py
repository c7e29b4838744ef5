"""What owners see and do while their documents are worked on, on both databases."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import ingestion_events
from api.ingestion_events import Watch, follow
from indexes.blobs import DirectoryBlobs
from indexes.catalog import chunks, deleting, erasing, progress, responses, revisions, stores, work
from indexes.catalog.database import Database
from indexes.catalog.revisions import Attachment
from indexes.catalog.tables import Batch, File, Revision, RevisionState, Stage, Store
from indexes.catalog.work import Lease
from indexes.engines.exact_index import ExactEngine
from indexes.errors import Conflict
from indexes.ids import Kind, new_id
from indexes.model import Chunk, Span
from ingestion import erase, estimate
from ingestion.erase import Eraser
from ingestion.receipt import Gone


@pytest.fixture
async def store(database: Database) -> Store:
    row = Store(id=new_id(Kind.STORE), project="p", name="s", live_version=new_id(Kind.VERSION))
    async with database.write() as session:
        session.add(row)
    return row


async def attach(database: Database, store: Store, key: str, batch_id: str | None = None) -> Revision:
    file = File(id=new_id(Kind.FILE), project="p", sha256=key, bytes=1, filename=key, purpose="user_data")
    async with database.write() as session:
        session.add(file)
        return await revisions.attach(session, store.id, Attachment(file, key, {}), batch_id)


async def claimed(database: Database, store: Store) -> Lease:
    """A lease on the oldest revision that waits."""
    async with database.write() as session:
        row = await work.claim(session, store.id, "w", lease_s=60)
    assert row is not None
    return Lease(row.id, "w", row.fence)


async def cut(database: Database, lease: Lease, total: int, done: int = 0) -> None:
    made = [Chunk(f"{lease.revision_id}-{n}", lease.revision_id, Span(n, n + 1, n, 1), "x") for n in range(total)]
    async with database.write() as session:
        await work.put_chunks(session, lease, "cut", made)
        await work.announce_points(session, lease)
        await work.progress(session, lease, done, 0)


async def fail(database: Database, lease: Lease) -> None:
    async with database.write() as session:
        await work.fail(session, lease, "unavailable", "The index did not answer.")


async def row_of(session: AsyncSession, lease: Lease) -> Revision:
    return (await session.scalars(select(Revision).where(Revision.id == lease.revision_id))).one()


async def test_only_stopped_work_is_tried_again_and_only_waiting_work_cancelled(
    database: Database, store: Store
) -> None:
    revision = await attach(database, store, "a.md")
    async with database.write() as session:
        with pytest.raises(Conflict, match="in progress"):
            await revisions.retry(session, revision)
    async with database.write() as session:
        assert (await revisions.cancel(session, revision)).state == RevisionState.CANCELLED
    async with database.write() as session:
        with pytest.raises(Conflict, match="is cancelled here"):
            await revisions.cancel(session, await revisions.get(session, store.id, revision.file_id))
    async with database.write() as session:
        again = await revisions.retry(session, revision)
        assert (again.state, again.attempts, again.started_at) == (RevisionState.PENDING, 0, None)


async def test_a_batch_is_tried_again_where_it_failed(database: Database, store: Store) -> None:
    batch = Batch(id=new_id(Kind.BATCH), store_id=store.id)
    async with database.write() as session:
        session.add(batch)
    for key in ("a", "b"):
        await attach(database, store, key, batch.id)
    await fail(database, await claimed(database, store))
    async with database.write() as session:
        (again,) = await revisions.retry_batch(session, batch.id)
        assert (again.key, again.error_code) == ("a", None)


async def test_failed_work_resumes_with_its_chunks(database: Database, store: Store) -> None:
    await attach(database, store, "a")
    lease = await claimed(database, store)
    await cut(database, lease, total=3, done=1)
    await fail(database, lease)
    async with database.write() as session:
        (left,) = await work.leftovers(session, 10)
        right = await erasing.begin(session, left)
    assert right is not None
    # It is tried again while its points are being taken away: no worker may begin before that is over.
    async with database.write() as session:
        await revisions.retry(session, left)
        assert await work.claim(session, store.id, "w", lease_s=60) is None
    async with database.write() as session:
        await erasing.finish(session, right, RevisionState.FAILED)
    async with database.read() as session:
        row = await row_of(session, lease)
        assert (row.state, row.stage, row.has_points) == (RevisionState.PENDING, Stage.CHUNKED, False)
        assert len(await chunks.of(session, row.id, "cut")) == 3
    assert (await claimed(database, store)).revision_id == row.id


async def test_an_eraser_that_comes_too_late_takes_nothing(database: Database, store: Store) -> None:
    await attach(database, store, "a")
    lease = await claimed(database, store)
    await cut(database, lease, total=1)
    await fail(database, lease)
    async with database.write() as session:
        (left,) = await work.leftovers(session, 10)
        session.expunge(left)
        await revisions.retry(session, left)
        assert await erasing.begin(session, left) is None


async def test_a_receipt_does_not_promise_what_a_worker_still_holds(
    database: Database, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "_GRACE_TRIES", 1)
    eraser = Eraser(database, DirectoryBlobs(tmp_path), ExactEngine())
    await attach(database, store, "a")
    lease = await claimed(database, store)
    await cut(database, lease, total=2)
    async with database.write() as session:
        (deleted,) = (await deleting.of_key(session, store.id, "a")).revisions
    early = await eraser.revision(deleted)
    assert (early.complete, early.revisions, early.chunks) == (False, Gone(1, 1), Gone(2, 2))
    async with database.write() as session:
        await work.release(session, lease)
    late = await eraser.revision(deleted)
    assert (late.complete, late.revisions, late.chunks) == (True, Gone(1, 0), Gone(2, 0))


async def test_the_estimate_follows_the_line(database: Database, store: Store) -> None:
    waiting = [await attach(database, store, key) for key in ("a", "b", "c")]
    async with database.read() as session:
        assert await progress.paces(session, [store.id]) == {}
        assert await estimate.of_files(session, store.id, waiting) == dict.fromkeys(row.seq for row in waiting)
    lease = await claimed(database, store)
    await cut(database, lease, total=8, done=2)
    async with database.read() as session:
        lines = await progress.lines(session, store.id, [row.seq for row in waiting])
        pace = (await progress.paces(session, [store.id]))[store.id]
        counts = (await stores.counts(session, [store.id]))[store.id]
        etas = await estimate.of_files(session, store.id, waiting)
        whole = await estimate.of_stores(session, {store.id: counts})
    assert [(lines[row.seq].chunks, lines[row.seq].uncut_files) for row in waiting] == [(6, 0), (6, 1), (6, 2)]
    assert (pace.chunks, pace.chunks_per_file) == (2, 8)
    assert (counts.chunks_done, counts.chunks_total, counts.line, counts.last_in_line) == (
        2,
        8,
        lines[waiting[-1].seq],
        waiting[-1].seq,
    )
    assert list(etas.values()) == sorted(etas.values(), key=lambda eta: eta or 0)
    assert None not in etas.values() and whole[store.id] is not None


async def test_work_from_before_the_window_counts_in_proportion(database: Database, store: Store) -> None:
    await attach(database, store, "a")
    lease = await claimed(database, store)
    await cut(database, lease, total=900, done=600)
    async with database.write() as session:
        (await row_of(session, lease)).started_at = time.time() - 3 * progress.WINDOW_S
    async with database.read() as session:
        pace = (await progress.paces(session, [store.id]))[store.id]
    assert pace.chunks == pytest.approx(200, rel=0.05)
    assert pace.elapsed_s == pytest.approx(progress.WINDOW_S, rel=0.05)


async def test_an_answer_made_while_its_document_is_deleted_is_kept_without_text(
    database: Database, store: Store
) -> None:
    body = {"id": "resp_1", "output": [{"type": "message", "content": [{"text": "secret"}]}], "sentences": ["secret"]}
    revision = await attach(database, store, "a")
    async with database.write() as session:
        await responses.store(session, "p", {**body, "id": "resp_0"}, [], [revision.id])
    async with database.write() as session:
        await deleting.of_file(session, store.id, revision.file_id)
        await responses.store(session, "p", body, [], [revision.id])
        assert "secret" not in json.dumps((await responses.get(session, "p", "resp_1")).body)
    made = responses.of_revision(revision.id)
    async with database.write() as session:
        assert await responses.unredacted(session, made) == 1
        assert await responses.redact(session, made) == 1
    async with database.read() as session:
        assert await responses.unredacted(session, responses.of_store(store.id)) == 0


async def next_event(events: AsyncIterator[bytes]) -> tuple[str, dict[str, Any], float]:
    """The next event that is no heartbeat: its name, its data, its id."""
    while True:
        lines = (await anext(events)).decode().strip().splitlines()
        if len(lines) == 3:
            name, ident, data = (line.split(": ", 1)[1] for line in lines)
            return name, json.loads(data), float(ident)


async def test_events_tell_every_change_once_and_resume(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_events, "POLL_S", 0.01)
    monkeypatch.setattr(ingestion_events, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(ingestion_events, "_PAGE", 2)
    await attach(database, store, "before")
    events = follow(Watch(database, "p", store.id, time.time()), resumed=False, stopping=lambda: False)
    name, first, began = await next_event(events)
    assert (name, first["file_counts"]["in_progress"]) == ("vector_store.progress", 1)
    # More changes at one moment than a page holds.
    attached = {(await attach(database, store, f"{n}.md")).file_id for n in range(5)}
    seen = [await next_event(events) for _ in range(5)]
    assert ({data["id"] for _, data, _ in seen}, {name for name, _, _ in seen}) == (attached, {"vector_store.file"})
    name, counted, _ = await next_event(events)
    assert (name, counted["file_counts"]["in_progress"]) == ("vector_store.progress", 6)
    lease = await claimed(database, store)
    await cut(database, lease, total=4, done=3)
    name, changed, ident = await next_event(events)
    assert (name, changed["key"], changed["chunks_done"], changed["stage"]) == (
        "vector_store.file",
        "before",
        3,
        "chunked",
    )
    await next_event(events)
    async with database.write() as session:
        await deleting.of_key(session, store.id, "0.md")
    assert (await next_event(events))[0] == "vector_store.file.deleted"
    await events.aclose()

    resumed = follow(Watch(database, "p", store.id, ident), resumed=True, stopping=lambda: False)
    assert (await next_event(resumed))[0] == "vector_store.progress"
    names = []
    while "vector_store.file.deleted" not in names:
        names.append((await next_event(resumed))[0])
    async with database.write() as session:
        await stores.remove(session, store.id)
    while names[-1] != "vector_store.deleted":
        names.append((await next_event(resumed))[0])
    assert [event async for event in resumed] == []
    assert began <= ident
