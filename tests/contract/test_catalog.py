"""The catalog keeps its promises on both databases: leases, supersession, visibility, pages."""

import asyncio
import time
from functools import partial

import pytest
from sqlalchemy import inspect

from indexes.catalog import deleting, erasing, idempotency, keys, revisions, stores, visibility, work
from indexes.catalog.completing import complete
from indexes.catalog.database import Database
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.pages import Cursor
from indexes.catalog.revisions import Attachment
from indexes.catalog.tables import Base, File, IndexVersion, Revision, RevisionState, Role, Stage, Store, VersionState
from indexes.catalog.work import Lease
from indexes.errors import Conflict, InvalidRequest, LeaseLost, NotFound
from indexes.ids import Kind, new_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Chunk, Span

MANIFEST = Manifest("parser", "chunker", Chunking(64, 0), EmbeddingSpec("hashing", "1", "0" * 64, 8, 64))


async def make_store(database: Database, project: str = "p") -> Store:
    store = Store(id=new_id(Kind.STORE), project=project, name="s", live_version=new_id(Kind.VERSION))
    async with database.write() as session:
        session.add(store)
        await session.flush()
        session.add(
            IndexVersion(
                id=store.live_version,
                store_id=store.id,
                state=VersionState.LIVE,
                manifest=MANIFEST.to_json(),
                manifest_hash=MANIFEST.hash,
            )
        )
    return store


async def make_file(database: Database, name: str = "a.md", sha256: str | None = None) -> File:
    file = File(
        id=new_id(Kind.FILE),
        project="p",
        sha256=sha256 or new_id(Kind.FILE),
        bytes=1,
        filename=name,
        purpose="user_data",
    )
    async with database.write() as session:
        session.add(file)
    return file


async def attach(database: Database, store: Store, file: File, key: str = "a.md", **attributes: str) -> Revision:
    async with database.write() as session:
        return await revisions.attach(session, store.id, Attachment(file, key, attributes))


async def work_on(database: Database, revision: Revision, owner: str = "w") -> Lease:
    """A lease on this revision, whichever others are due before it."""
    others: list[Lease] = []
    async with database.write() as session:
        while True:
            claimed = await work.claim(session, revision.store_id, owner, lease_s=60)
            assert claimed is not None
            lease = Lease(claimed.id, owner, claimed.fence)
            if claimed.id == revision.id:
                break
            others.append(lease)
        for other in others:
            await work.release(session, other)
    return lease


async def finish(database: Database, revision: Revision) -> str:
    lease = await work_on(database, revision)
    chunk = Chunk(f"chunk_{revision.id}", revision.id, Span(0, 4, 0, 1), "text")
    async with database.write() as session:
        await work.put_chunks(session, lease, "cut", [chunk])
        await work.announce_points(session, lease)
    async with database.write() as session:
        await complete(session, lease)
    return chunk.id


async def state_of(database: Database, revision: Revision) -> RevisionState:
    async with database.read() as session:
        row = await session.get(Revision, revision.seq)
        assert row is not None
        return row.state


async def test_migrations_make_what_the_tables_say(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    async with database.engine.connect() as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert difference == []
    assert "revisions" in names


async def test_one_of_many_workers_gets_the_lease(database: Database) -> None:
    store, file = await make_store(database), await make_file(database)
    await attach(database, store, file)

    async def claim(owner: str) -> bool:
        async with database.write() as session:
            return await work.claim(session, store.id, owner, lease_s=60) is not None

    assert sum(await asyncio.gather(*(claim(f"w{number}") for number in range(8)))) == 1


async def test_stores_take_turns(database: Database) -> None:
    large, small = await make_store(database), await make_store(database)
    for number in range(5):
        await attach(database, large, await make_file(database), key=f"{number}")
    await attach(database, small, await make_file(database))
    turns = []
    for _ in range(4):
        async with database.write() as session:
            store_id = await work.next_store(session)
            assert store_id is not None
            assert await work.claim(session, store_id, "w", lease_s=60) is not None
        turns.append("small" if store_id == small.id else "large")
    assert turns == ["large", "small", "large", "large"]


async def test_who_lost_the_lease_changes_nothing(database: Database) -> None:
    store, file = await make_store(database), await make_file(database)
    revision = await attach(database, store, file)
    async with database.write() as session:
        first = await work.claim(session, store.id, "first", lease_s=-1)
    assert first is not None
    old = Lease(first.id, "first", first.fence)
    new = await work_on(database, revision, "second")
    with pytest.raises(LeaseLost):
        async with database.write() as session:
            await work.advance(session, old, Stage.PARSED)
    with pytest.raises(LeaseLost):
        async with database.write() as session:
            await complete(session, old)
    async with database.write() as session:
        await work.advance(session, new, Stage.PARSED)


async def test_a_newer_revision_supersedes_when_it_completes_and_not_before(database: Database) -> None:
    store = await make_store(database)
    old = await attach(database, store, await make_file(database))
    old_chunk = await finish(database, old)
    new = await attach(database, store, await make_file(database))
    assert await state_of(database, old) == RevisionState.CURRENT
    new_chunk = await finish(database, new)
    assert await state_of(database, old) == RevisionState.SUPERSEDED
    view = await database.snapshot(partial(visibility.view, project="p", store_id=store.id))
    seen = await database.snapshot(partial(visibility.sighting, view=view, chunk_ids=[old_chunk, new_chunk]))
    assert (set(seen.chunks), seen.settled) == ({new_chunk}, False)
    assert view.hidden == (old.id,)


async def test_the_older_of_two_that_finishes_last_does_not_win(database: Database) -> None:
    store = await make_store(database)
    old = await attach(database, store, await make_file(database))
    new = await attach(database, store, await make_file(database))
    await finish(database, new)
    await finish(database, old)
    assert await state_of(database, new) == RevisionState.CURRENT
    assert await state_of(database, old) == RevisionState.SUPERSEDED


async def test_the_same_bytes_under_the_same_key_are_not_worked_on_again(database: Database) -> None:
    store = await make_store(database)
    first = await attach(database, store, await make_file(database, sha256="same"))
    await finish(database, first)
    again = await make_file(database, sha256="same")
    second = await attach(database, store, again, team="hr")
    assert second.id == first.id
    assert (second.file_id, second.state, second.attributes_synced) == (again.id, RevisionState.CURRENT, False)


async def test_a_file_has_one_key_in_a_store(database: Database) -> None:
    store, file = await make_store(database), await make_file(database)
    await attach(database, store, file, key="one.md")
    with pytest.raises(Conflict, match=r"one\.md"):
        await attach(database, store, file, key="two.md")


async def test_postponed_work_is_due_when_its_time_has_come(database: Database) -> None:
    store = await make_store(database)
    revision = await attach(database, store, await make_file(database))
    lease = await work_on(database, revision)
    async with database.write() as session:
        await work.postpone(session, lease, "unavailable", "later", delay_s=60)
    async with database.read() as session:
        assert await work.next_store(session) is None
    async with database.write() as session:
        row = await session.get(Revision, revision.seq)
        assert row is not None
        row.next_attempt_at = time.time() - 1
    async with database.read() as session:
        assert await work.next_store(session) == store.id


async def test_a_deleted_revision_under_work_is_forgotten_after_its_lease(database: Database) -> None:
    store, file = await make_store(database), await make_file(database)
    revision = await attach(database, store, file)
    lease = await work_on(database, revision)
    async with database.write() as session:
        (deleted,) = (await deleting.of_file(session, store.id, file.id)).revisions
        assert await erasing.begin(session, deleted) is None
    assert await state_of(database, revision) == RevisionState.DELETED
    async with database.write() as session:
        await work.release(session, lease)
    async with database.write() as session:
        (left,) = await work.leftovers(session, 10)
        erasing_it = await erasing.begin(session, left)
        assert erasing_it is not None
        await erasing.finish(session, erasing_it, left.state)
    async with database.read() as session:
        assert await session.get(Revision, revision.seq) is None


async def test_pages_reach_everything_once_in_both_orders(database: Database) -> None:
    made = [(await make_store(database)).id for _ in range(7)]
    await make_store(database, project="other")
    for order, expected in (("asc", made), ("desc", made[::-1])):
        seen: list[str] = []
        after = None
        while True:
            async with database.read() as session:
                page = await stores.listing(session, "p", Cursor(limit=3, order=order, after=after))  # type: ignore[arg-type]
            seen += [row.id for row in page.rows]
            if not page.has_more:
                break
            after = seen[-1]
        assert seen == expected
        async with database.read() as session:
            back = await stores.listing(session, "p", Cursor(limit=3, order=order, before=expected[5]))  # type: ignore[arg-type]
        assert [row.id for row in back.rows] == expected[2:5]
    with pytest.raises(InvalidRequest, match="after"):
        async with database.read() as session:
            await stores.listing(session, "p", Cursor(after="vs_unknown"))


async def test_another_project_sees_nothing(database: Database) -> None:
    store = await make_store(database)
    async with database.read() as session:
        with pytest.raises(NotFound):
            await stores.get(session, "other", store.id)
        with pytest.raises(NotFound):
            await visibility.pinned(session, "other", store.id, None, None)
    with pytest.raises(NotFound):
        await database.snapshot(partial(visibility.view, project="other", store_id=store.id))


async def test_a_key_is_known_until_it_is_revoked(database: Database) -> None:
    async with database.write() as session:
        row, secret = await keys.create(session, "ci", "p", Role.READ)
    caller = await database.snapshot(partial(keys.caller, secret=secret))
    assert caller is not None
    assert (caller.project, caller.role) == ("p", Role.READ)
    assert await database.snapshot(partial(keys.caller, secret=secret + "x")) is None
    async with database.write() as session:
        await keys.revoke(session, row.id)
    assert await database.snapshot(partial(keys.caller, secret=secret)) is None


async def test_an_idempotency_key_belongs_to_one_request(database: Database) -> None:
    request = Idempotency("k", "fingerprint")
    async with database.write() as session:
        assert await idempotency.earlier(session, "p", request) is None
        idempotency.remember(session, "p", request, "vs_1")
    async with database.read() as session:
        assert await idempotency.earlier(session, "p", request) == "vs_1"
        assert await idempotency.earlier(session, "other", request) is None
        with pytest.raises(Conflict):
            await idempotency.earlier(session, "p", Idempotency("k", "another"))


async def test_counts_and_batches(database: Database) -> None:
    store = await make_store(database)
    finished = await attach(database, store, await make_file(database), key="1")
    await finish(database, finished)
    await attach(database, store, await make_file(database), key="2")
    failed = await attach(database, store, await make_file(database), key="3")
    lease = await work_on(database, failed)
    async with database.write() as session:
        await work.fail(session, lease, "empty_file", "It is empty.")
    async with database.read() as session:
        counts = (await stores.counts(session, [store.id]))[store.id]
    assert (counts.completed, counts.in_progress, counts.failed, counts.total) == (1, 1, 1, 3)


async def test_completing_says_what_is_left_to_do(database: Database) -> None:
    store = await make_store(database)
    old = await attach(database, store, await make_file(database))
    await finish(database, old)
    new = await attach(database, store, await make_file(database))
    lease = await work_on(database, new)
    async with database.write() as session:
        await work.put_chunks(session, lease, "cut", [])
    async with database.write() as session:
        revisions.change_attributes(await revisions.get(session, store.id, new.file_id), {"team": "hr"})
    async with database.write() as session:
        assert await complete(session, lease) is None
    assert await state_of(database, old) == RevisionState.CURRENT
    async with database.write() as session:
        await work.attributes_synced(session, new.id, {"team": "hr"})
    async with database.write() as session:
        completed = await complete(session, lease)
    assert completed is not None
    assert (completed.revision.id, [row.id for row in completed.unseen]) == (new.id, [old.id])
    assert completed.has_history
