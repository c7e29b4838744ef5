"""Named points in time of a store."""

import asyncio

import pytest

from indexes.catalog import holdings, snapshots
from indexes.catalog.tables import Store
from indexes.errors import Conflict, NotFound
from indexes.manifest import Chunking
from retrieval.query import Query
from tests.actors import Actor
from tests.workshop import ENGINEER, PROJECT, Workshop


async def written(workshop: Workshop, store: Store, **texts: str) -> None:
    for key, text in texts.items():
        await workshop.upload(store, key, text)
    await workshop.work()


async def then(workshop: Workshop, store: Store, name: str, version: str | None = None) -> dict[str, str]:
    return await workshop.documents(store, Query(("rule",), limit=500, snapshot=name, index_version=version))


async def test_a_snapshot_is_searched_compared_restored_and_removed(workshop: Workshop) -> None:
    store = await workshop.store()
    await written(workshop, store, a="An old rule.", b="A rule that stays.", c="A rule that goes.")
    await workshop.snapshot(store, "before")
    with pytest.raises(Conflict, match="take another name"):
        await workshop.snapshot(store, "before")
    await written(workshop, store, a="A new rule.", d="A rule that comes.")
    await workshop.intake.delete_document(PROJECT, store.id, "c")
    built = await workshop.built(store, chunking=Chunking(16, 0))
    await workshop.reconciler.once()
    await workshop.check(store)

    before, now = {"a": "An old rule.", "b": "A rule that stays."}, await workshop.documents(store)
    assert now == {"a": "A new rule.", "b": "A rule that stays.", "d": "A rule that comes."}
    for version in (None, built.id, store.live_version):
        assert await then(workshop, store, "before", version) == before
    async with workshop.database.read() as session:
        snapshot = await snapshots.get(session, store.id, "before")
        assert await snapshots.contents(session, snapshot.id) == snapshots.Contents(documents=3, deleted=1)
        change = await snapshots.difference(session, store.id, snapshot.id, None)
        assert change == snapshots.Difference(added=["d"], changed=["a"], removed=["c"])

    await workshop.snapshot(store, "after")
    await workshop.restore(store, "before")
    assert await workshop.documents(store) == before
    await workshop.reconciler.once()
    await workshop.check(store)
    await workshop.restore(store, "after")
    assert await workshop.documents(store) == now
    for name in ("before", "after"):
        await workshop.remove_snapshot(store, name)
    await workshop.reconciler.once()
    await workshop.check(store)
    assert await workshop.documents(store) == now
    with pytest.raises(NotFound, match="no snapshot 'before'"):
        await then(workshop, store, "before")


async def test_a_snapshot_that_is_removed_at_this_moment_is_not_restored(workshop: Workshop) -> None:
    store = await workshop.store()
    await written(workshop, store, a="A rule.")
    await workshop.snapshot(store, "before")
    async with workshop.database.read() as session:
        snapshot = await snapshots.get(session, store.id, "before")
    await workshop.remove_snapshot(store, "before")
    with pytest.raises(NotFound, match="no snapshot"):
        async with workshop.database.write() as session:
            await snapshots.restore(session, snapshot, ENGINEER)
    assert await workshop.documents(store) == {"a": "A rule."}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_restoring_and_building_do_not_block_each_other(workshop: Workshop) -> None:
    store = await workshop.store()
    await written(workshop, store, a="An old rule.")
    await workshop.snapshot(store, "one")
    await written(workshop, store, a="A new rule.")
    await workshop.snapshot(store, "two")
    version = await workshop.version(store.live_version)
    rows = await workshop.revisions(store)
    read_back = dict.fromkeys(rows, 1)
    attributes = {ident: row.attributes for ident, row in rows.items()}

    async def verify() -> None:
        for _ in range(60):
            async with workshop.database.write() as session:
                await holdings.note_verified(session, version, read_back, attributes)

    async def restore() -> None:
        for _ in range(30):
            await workshop.restore(store, "one")
            await workshop.restore(store, "two")

    await asyncio.gather(verify(), restore())


async def test_attributes_reach_a_document_that_only_a_snapshot_names(workshop: Workshop) -> None:
    store = await workshop.store()
    revision = await workshop.upload(store, "a", "An old rule.", {"team": "hr"})
    await workshop.work()
    await workshop.snapshot(store, "before")
    change = Actor("owner", workshop.intake.set_attributes(PROJECT, store.id, revision.file_id, {"team": "it"}))
    await change.step_over_change()
    await change.kill()
    await written(workshop, store, a="A new rule.")
    await workshop.reconciler.once()
    await workshop.check(store)
