"""Index versions are built beside the live one, whatever happens meanwhile."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import builds, holdings, versions
from indexes.catalog import chunks as chunk_rows
from indexes.catalog.tables import IndexVersion, Store, VersionState
from indexes.errors import Conflict, NotFound
from indexes.ids import chunk_id
from indexes.manifest import AnnSpec, Chunking, LexicalSpec
from indexes.model import Point, SparseVector
from ingestion import rebuild
from ingestion.reindex import Wanted
from retrieval.query import Query
from tests.actors import Actor
from tests.workshop import ENGINEER, PROJECT, Workshop

RULES = {key: " ".join(f"Rule {number} of {key} is fixed." for number in range(12)) for key in "ab"}

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # many stops, each of the same statements


@pytest.fixture
async def store(workshop: Workshop) -> Store:
    """Some documents, searchable."""
    store = await workshop.store()
    for key, text in RULES.items():
        await workshop.upload(store, key, text, {"team": key})
    await workshop.work()
    return store


async def builder(workshop: Workshop) -> Actor:
    row = await workshop.claim_build()
    assert row is not None
    return Actor("builder", workshop.builder.build(row))


async def settled(workshop: Workshop, store: Store) -> None:
    """All that is left to do done, and everything where it should be."""
    await workshop.expire()
    await workshop.work()
    await workshop.build()
    for _ in range(2):
        await workshop.reconciler.once()
    await workshop.check(store)


async def complete(workshop: Workshop, version: IndexVersion) -> bool:
    async with workshop.database.read() as session:
        return await holdings.is_complete(session, version)


async def pinned(workshop: Workshop, store: Store, version: IndexVersion) -> dict[str, str]:
    return await workshop.documents(store, Query(("rule",), limit=500, index_version=version.id))


async def test_what_is_alike_is_not_embedded_again(workshop: Workshop, store: Store) -> None:
    embedded = dict(workshop.models.embedded)
    chunks = sum(embedded.values())
    for wanted in ({"ann": AnnSpec(m=8)}, {"lexical": LexicalSpec(k=2.0)}):
        plan = await workshop.reindexer.plan(PROJECT, store.id, Wanted(**wanted))
        assert (plan.files, plan.chunks, plan.embedded, plan.reused) == (2, chunks, 0, chunks)
        version = await workshop.built(store, **wanted)
        assert (version.state, version.embedded, version.reused) == (VersionState.READY, 0, chunks)
    assert workshop.models.embedded == embedded
    plan = await workshop.reindexer.plan(PROJECT, store.id, Wanted(embedding_model="hashing-32"))
    assert (plan.chunks, plan.embedded) == (chunks, chunks)
    workshop.models.embedded.clear()  # a plan measures the speed of the model
    version = await workshop.built(store, embedding_model="hashing-32")
    assert (version.embedded, version.reused) == (chunks, 0)
    assert workshop.models.embedded == {"hashing-32": chunks}
    await settled(workshop, store)


@on_sqlite
async def test_nor_is_what_stands_twice_in_a_document_or_was_not_built_yet(workshop: Workshop) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "The same rule. " * 60)
    await workshop.work()
    unfinished = await workshop.begin(store, ann=AnnSpec(m=8))
    async with workshop.database.write() as session:
        await builds.pause(session, unfinished, ENGINEER)
        manifest = replace(versions.opened_as(unfinished).manifest, ann=AnnSpec(m=12))
        version = await builds.create(session, store.id, manifest, ENGINEER)
    await workshop.build()
    done = await workshop.version(version.id)
    assert (done.state, done.embedded) == (VersionState.READY, 0)


@on_sqlite
async def test_other_chunks_are_made_beside_those_that_answer(workshop: Workshop, store: Store) -> None:
    finer = await workshop.begin(store, chunking=Chunking(16, 0))
    before = await workshop.search(store)
    actor = await builder(workshop)
    while not actor.ended:
        await actor.step(3)
        assert await workshop.search(store) == before
    fine = await workshop.search(store, Query(("rule",), limit=500, index_version=finer.id))
    assert not {hit.chunk.id for hit in fine} & {hit.chunk.id for hit in before}
    assert max(hit.chunk.span.tokens for hit in fine) <= 16 < max(hit.chunk.span.tokens for hit in before)
    assert await pinned(workshop, store, finer) == await workshop.documents(store) == RULES
    await settled(workshop, store)


async def test_a_build_is_paused_resumed_and_cancelled(workshop: Workshop, store: Store) -> None:
    version = await workshop.begin(store, embedding_model="hashing-32", chunking=Chunking(16, 0))
    actor = await builder(workshop)
    while not workshop.models.embedded["hashing-32"]:
        await actor.step_over_change()
    async with workshop.database.write() as session:
        await builds.pause(session, version, ENGINEER)
    await actor.finish()
    assert await workshop.claim_build() is None
    with pytest.raises(Conflict, match="cannot be searched"):
        await pinned(workshop, store, version)
    async with workshop.database.write() as session:
        await builds.resume(session, version, ENGINEER)
    await workshop.build()
    done = await workshop.version(version.id)
    assert (done.state, done.embedded + done.reused) == (VersionState.READY, sum(workshop.inventory(done).values()))
    assert workshop.models.embedded["hashing-32"] == sum(workshop.inventory(done).values())
    with pytest.raises(Conflict, match="only a build can be paused"):
        async with workshop.database.write() as session:
            await builds.pause(session, done, ENGINEER)

    other = await workshop.begin(store, chunking=Chunking(24, 0))
    actor = await builder(workshop)
    await actor.step(9)
    await workshop.delete_version(store, other.id)
    await workshop.delete_version(store, done.id)
    await actor.finish()
    await settled(workshop, store)


async def test_a_builder_may_be_killed_anywhere(workshop: Workshop, store: Store) -> None:
    chunks = sum(workshop.models.embedded.values())
    version = await workshop.begin(store, embedding_model="hashing-32")
    steps = 0
    while (await workshop.version(version.id)).state == VersionState.BUILDING:
        actor = await builder(workshop)
        await actor.step(steps := steps + 1)
        await actor.kill()
        assert await workshop.claim_build() is None
        await workshop.expire()
    assert steps > 5
    assert workshop.models.embedded["hashing-32"] == chunks
    await settled(workshop, store)


async def test_what_is_written_during_a_build_is_in_it(workshop: Workshop, store: Store) -> None:
    """At each step of the builder something else happens, and every version has it in the end (I8)."""
    await workshop.begin(store, embedding_model="hashing-32", chunking=Chunking(16, 0))
    actor = await builder(workshop)
    expected, number = dict(RULES), 0
    while not actor.ended:
        await actor.step()
        number += 1
        key = "abcdefgh"[number % 8]
        match number % 4:
            case 0:
                expected[key] = f"Rule {number} is new. " * 3
                await workshop.upload(store, key, expected[key], {"team": number})
            case 1 if key in expected:
                await workshop.intake.delete_document(PROJECT, store.id, key)
                del expected[key]
            case 2:
                for row in (await workshop.revisions(store)).values():
                    await workshop.intake.set_attributes(PROJECT, store.id, row.file_id, {"team": f"{number}"})
            case 3:
                await workshop.work()
        assert number < 500
    await settled(workshop, store)
    for version in await workshop.versions(store, *versions.SEARCHABLE):
        found = await workshop.documents(store, Query(("rule",), limit=500, index_version=version.id))
        assert found == {key: text.strip() for key, text in expected.items()}


async def stopped_builders(workshop: Workshop, store: Store) -> AsyncIterator[Actor]:
    """A build stopped after its first step, another after its second, and so on; each ends, and all is checked."""
    for step in itertools.count(1, 2):  # a document takes an odd number, so two take all
        version = await workshop.begin(store, chunking=Chunking(32 + step, 0))
        actor = await builder(workshop)
        await actor.step(step)
        if actor.ended:
            return
        yield actor
        await actor.finish()
        await settled(workshop, store)
        await workshop.delete_version(store, version.id)


@on_sqlite
async def test_attributes_that_change_while_a_document_is_added(workshop: Workshop, store: Store) -> None:
    async for actor in stopped_builders(workshop, store):
        for row in (await workshop.revisions(store)).values():
            await workshop.intake.set_attributes(PROJECT, store.id, row.file_id, {"team": f"{actor.steps}"})


@on_sqlite
async def test_documents_that_are_superseded_or_deleted_while_they_are_added(workshop: Workshop, store: Store) -> None:
    async for actor in stopped_builders(workshop, store):
        await workshop.upload(store, "a", f"Another rule {actor.steps} for a. " * 3)
        await workshop.intake.delete_document(PROJECT, store.id, "b")
        await workshop.work()
        await workshop.upload(store, "b", f"Rule {actor.steps} for b is back. " * 3)
        await workshop.work()


async def test_a_store_is_deleted_once_its_builder_has_let_go(workshop: Workshop, store: Store) -> None:
    version = await workshop.begin(store, embedding_model="hashing-32")
    actor = await builder(workshop)
    while not workshop.models.embedded["hashing-32"]:
        await actor.step()
    await workshop.intake.delete_store(store)
    assert await workshop.version(version.id)  # or the builder would make it again, and nobody would know of it
    await actor.finish()
    assert await workshop.claim_build() is None
    await workshop.reconciler.once()
    async with workshop.database.read() as session:
        assert list(await session.scalars(select(IndexVersion))) == []
    with pytest.raises(NotFound):
        workshop.inventory(version)


@on_sqlite
async def test_a_version_is_erased_once_nobody_writes_to_it(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, embedding_model="hashing-32")
    await workshop.upload(store, "c", RULES["a"] + RULES["b"])
    revision = await workshop.pipeline.claim()
    assert revision is not None
    worker = Actor("worker", workshop.pipeline.process(revision))
    while not workshop.models.embedded["hashing-64"] > sum(workshop.inventory(version).values()):
        await worker.step()
    await workshop.delete_version(store, version.id)
    await workshop.reconciler.once()
    await worker.finish()
    await settled(workshop, store)


async def test_a_failed_build_is_tried_again_with_what_was_written_meanwhile(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(texts: Sequence[str]) -> None:
        raise RuntimeError("out of order")

    version = await workshop.begin(store, embedding_model="hashing-32")
    actor = await builder(workshop)
    while not workshop.models.embedded["hashing-32"]:
        await actor.step_over_change()
    embedder = await workshop.models.embedder(versions.opened_as(version).manifest.embedding)
    with monkeypatch.context() as patch:
        patch.setattr(embedder, "documents", broken)
        await actor.finish()
        assert (await workshop.version(version.id)).attempts == 1
        await workshop.build()
    failed = await workshop.version(version.id)
    assert (failed.state, failed.error) == (
        VersionState.FAILED,
        "Something went wrong on the server; its log says more.",
    )

    (file_id,) = {row.file_id for row in (await workshop.revisions(store)).values() if row.key == "a"}
    await workshop.intake.set_attributes(PROJECT, store.id, file_id, {"team": "new"})
    await workshop.upload(store, "b", "Rule 1 of b is another.")
    await workshop.work()
    async with workshop.database.write() as session:
        await builds.resume(session, failed, ENGINEER)
    await settled(workshop, store)
    assert (await workshop.version(version.id)).state == VersionState.READY


@on_sqlite
async def test_a_build_that_gets_on_is_not_given_up(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await workshop.begin(store, embedding_model="hashing-32")
    embedder = await workshop.models.embedder(versions.opened_as(version).manifest.embedding)
    whole, calls = embedder.documents, itertools.count(1)
    most = workshop.settings.max_attempts

    async def failing(texts: Sequence[str]) -> object:
        if next(calls) % most:
            raise RuntimeError("out of order")
        return await whole(texts)

    monkeypatch.setattr(embedder, "documents", failing)
    await workshop.build()
    assert (await workshop.version(version.id)).state == VersionState.READY


@on_sqlite
async def test_a_builder_gives_its_lease_back_after_the_last_of_its_writes(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_REVISIONS_AT_ONCE", 8)
    version = await workshop.begin(store, embedding_model="hashing-32")
    embedder = await workshop.models.embedder(versions.opened_as(version).manifest.embedding)
    whole, failed, owners = embedder.documents, asyncio.Event(), []

    async def failing(texts: Sequence[str]) -> object:
        if " a " in texts[0]:
            failed.set()
            raise RuntimeError("out of order")
        await failed.wait()
        for _ in range(20):  # time for the other's error to be seen
            await asyncio.sleep(0.01)
        owners.append((await workshop.version(version.id)).lease_owner)
        return await whole(texts)

    with monkeypatch.context() as patch:
        patch.setattr(embedder, "documents", failing)
        row = await workshop.claim_build()
        assert row is not None
        await workshop.builder.build(row)
    assert owners
    assert None not in owners
    await settled(workshop, store)


async def test_a_version_is_ready_only_once_it_holds_what_the_catalog_says(workshop: Workshop, store: Store) -> None:
    version = await workshop.begin(store, lexical=LexicalSpec(k=2.0))
    actor = await builder(workshop)
    while not await complete(workshop, version):
        await actor.step()
    index = workshop.engine.open(version.id, versions.opened_as(version).manifest)
    lost, kept = await workshop.revisions(store)
    stray = Point(chunk_id("rev_stray", "cut", 0), "rev_stray", np.ones(64, np.float32), SparseVector((), ()), {})
    index.delete(lost)
    index.upsert([stray])
    assert (await workshop.version(version.id)).state == VersionState.BUILDING
    await actor.finish()
    ready = await workshop.version(version.id)
    assert ready.inventory_hash == holdings.inventory_hash(workshop.inventory(ready))
    assert workshop.inventory(ready).keys() == {lost, kept}
    await settled(workshop, store)


async def test_points_of_a_builder_that_died_are_erased_with_their_document(workshop: Workshop, store: Store) -> None:
    version = await workshop.begin(store, embedding_model="hashing-32")
    actor = await builder(workshop)
    await actor.step(4)
    await workshop.intake.delete_document(PROJECT, store.id, "a")
    while not workshop.models.embedded["hashing-32"]:
        await actor.step()
    await actor.kill()
    assert workshop.inventory(version)
    async with workshop.database.write() as session:
        await builds.pause(session, version, ENGINEER)
    await workshop.reconciler.once()
    assert workshop.inventory(version)  # whoever has the lease may be writing more of them
    await workshop.expire()
    await workshop.reconciler.once()
    assert workshop.inventory(version) == {}
    async with workshop.database.write() as session:
        await builds.resume(session, version, ENGINEER)
    await settled(workshop, store)


@on_sqlite
async def test_a_build_that_begins_during_an_upload_gets_it(workshop: Workshop, store: Store) -> None:
    for steps in itertools.count(1, 2):
        revision = await workshop.upload(store, "c", f"Rule {steps} of c. " * 9)
        claimed = await workshop.pipeline.claim()
        assert claimed is not None
        worker, embedded = Actor("worker", workshop.pipeline.process(claimed)), workshop.models.embedded.total()
        while worker.steps < steps and not worker.ended:
            await worker.step()
            if workshop.models.embedded.total() > embedded:  # its points have attributes: these are to be newer
                await workshop.intake.set_attributes(PROJECT, store.id, revision.file_id, {"team": "new"})
        version = await workshop.built(store, chunking=Chunking(32 + steps, 0))
        assert version.state == VersionState.READY
        if worker.ended:
            break
        await worker.finish()
        assert (await pinned(workshop, store, version))["c"].startswith(f"Rule {steps} of c.")
        await settled(workshop, store)
        await workshop.delete_version(store, version.id)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_chunks_are_not_forgotten_while_another_build_begins_to_share_them(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await workshop.built(store, chunking=Chunking(16, 0))
    await workshop.delete_version(store, version.id)
    forget_cut, building = chunk_rows.forget_cut, []

    async def meanwhile(session: AsyncSession, store_id: str, cut: str) -> None:
        building.append(asyncio.create_task(workshop.built(store, chunking=Chunking(16, 0))))
        await asyncio.wait(building, timeout=1)
        await forget_cut(session, store_id, cut)

    monkeypatch.setattr(chunk_rows, "forget_cut", meanwhile)
    await workshop.reconciler.once()
    await asyncio.gather(*building)
    await settled(workshop, store)
