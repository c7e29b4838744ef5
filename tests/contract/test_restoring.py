"""Index versions that lost their points are filled again, whatever happens meanwhile, and searches say so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from indexes.catalog import promotion, restoring, versions
from indexes.catalog.tables import IndexVersion, Revision, RevisionState, Store, VersionState
from indexes.catalog.versions import Version, opened_as
from indexes.engines.faiss_engine import FaissEngine
from indexes.engines.qdrant_server import QdrantServerEngine
from indexes.engines.settings import FaissEngineSettings, QdrantServerEngineSettings
from indexes.errors import IndexDamaged
from indexes.index import Engine
from indexes.manifest import AnnSpec
from indexes.standing import report
from ingestion.stocktaking import Stocktaker
from retrieval.query import Query
from retrieval.ranking import Ranked, Ranker
from retrieval.search import Results
from tests.actors import Actor
from tests.workshop import ENGINEER, EVERYTHING, PROJECT, Workshop

RULES = {key: " ".join(f"Rule {number} of {key} is fixed." for number in range(12)) for key in "abcdefghij"}

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def store(workshop: Workshop) -> Store:
    """More documents than are added at once, searchable."""
    store = await workshop.store()
    for key, text in RULES.items():
        await workshop.upload(store, key, text, {"team": key})
    await workshop.work()
    return store


async def live(workshop: Workshop, store: Store) -> IndexVersion:
    (row,) = await workshop.versions(store, VersionState.LIVE)
    return row


async def document(workshop: Workshop, store: Store, key: str) -> Revision:
    return next(row for row in (await workshop.revisions(store, RevisionState.CURRENT)).values() if row.key == key)


async def results(workshop: Workshop, store: Store, query: Query = EVERYTHING) -> Results:
    return await workshop.searcher.search(PROJECT, store.id, query)


async def restorer(workshop: Workshop) -> Actor | None:
    row = await workshop.claim_build(restoring=True)
    return None if row is None else Actor("restorer", workshop.builder.build(row))


async def restored(workshop: Workshop) -> None:
    while actor := await restorer(workshop):
        await actor.finish()


async def settled(workshop: Workshop, store: Store) -> None:
    await workshop.expire()
    await workshop.work()
    await restored(workshop)
    for _ in range(2):
        await workshop.reconciler.once()
    await workshop.check(store)


async def test_a_version_that_is_gone_is_found_by_a_search_and_filled_again(workshop: Workshop, store: Store) -> None:
    embedded, version = workshop.models.embedded.copy(), await live(workshop, store)
    workshop.engine.drop(version.id)
    found = await results(workshop, store)
    assert (found.hits, [problem[:36] for problem in found.explanation.problems]) == (
        [],
        ["The index is being restored: 0 of 10"],
    )
    for _ in range(2):  # whoever says it again, it is restored once
        async with workshop.database.write() as session:
            assert not await restoring.note_damaged(session, version.id, version.fence, "seen before")
    setting_aside = await restorer(workshop)
    assert setting_aside is not None
    await setting_aside.finish()
    actor = await restorer(workshop)
    assert actor is not None
    while "8 of 10 documents" not in (found := await results(workshop, store)).explanation.problems[0]:
        await actor.step()
    assert 8 <= len({hit.key for hit in found.hits}) < 10  # what is stored is found before it was read back
    await actor.finish()
    found = await results(workshop, store)
    assert found.explanation.problems == []
    assert {hit.key for hit in found.hits} == set(RULES)
    assert workshop.models.embedded.total() == 2 * embedded.total()
    await settled(workshop, store)


@on_sqlite
@pytest.mark.parametrize("around", [None, FaissEngine])
@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
async def test_a_collection_that_a_server_lost_while_it_was_open_is_filled_again(
    workshop: Workshop, tmp_path: Path, around: type[FaissEngine] | None
) -> None:
    client = QdrantClient(path=str(tmp_path / "server"), force_disable_check_same_thread=True)
    engine: Engine = QdrantServerEngine(client, QdrantServerEngineSettings(url="http://unused"))
    if around:
        engine = around(FaissEngineSettings(), engine, tmp_path / "faiss")
    served = Workshop(workshop.database, tmp_path, engine)
    store = await served.store()
    await served.upload(store, "a", RULES["a"])
    await served.work()
    assert {hit.key for hit in (await results(served, store)).hits} == {"a"}
    client.delete_collection((await live(served, store)).id)
    assert "is being restored" in (await results(served, store)).explanation.problems[-1]
    await restored(served)
    found = await results(served, store)
    assert ({hit.key for hit in found.hits}, found.explanation.problems) == ({"a"}, [])
    engine.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
async def test_a_collection_that_nobody_searches_is_missed_by_a_worker(workshop: Workshop, tmp_path: Path) -> None:
    client = QdrantClient(path=str(tmp_path / "server"), force_disable_check_same_thread=True)
    engine = QdrantServerEngine(client, QdrantServerEngineSettings(url="http://unused"))
    served = Workshop(workshop.database, tmp_path, engine)
    store = await served.store()
    await served.upload(store, "a", RULES["a"])
    await served.work()
    stocktaker = Stocktaker(workshop.database, engine)
    await stocktaker.once()
    client.delete_collection((await live(served, store)).id)
    for _ in range(2):
        assert (await live(served, store)).restoring_since is None
        await stocktaker.once()
    assert (await live(served, store)).restoring_since is not None
    engine.close()


async def test_a_whole_version_answers_in_its_place_and_lends_its_vectors(workshop: Workshop, store: Store) -> None:
    spare = await workshop.built(store, ann=AnnSpec(m=8))
    embedded, version = workshop.models.embedded.copy(), await live(workshop, store)
    workshop.engine.drop(version.id)
    found = await results(workshop, store)
    assert (found.index_version, found.explanation.problems) == (spare.id, [])
    assert {hit.key for hit in found.hits} == set(RULES)
    named = await results(workshop, store, replace(EVERYTHING, index_version=version.id))
    assert (named.index_version, len(named.explanation.problems)) == (version.id, 1)
    await restored(workshop)
    assert (await results(workshop, store)).index_version == version.id
    assert workshop.models.embedded == embedded
    await settled(workshop, store)


async def test_a_canary_that_loses_its_points_in_mid_search_does_not_answer(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = await workshop.built(store, ann=AnnSpec(m=8))
    async with workshop.database.write() as session:
        row = await versions.get(session, store.id, canary.id)
        await promotion.set_traffic(session, row, 0.0, 1.0, ENGINEER)
    ranked = Ranker.ranked

    async def loses(ranker: Ranker, version: Version, *asked: Any) -> Ranked:
        if version.id == canary.id:
            workshop.engine.drop(version.id)
            workshop.engine.create(version.id, version.manifest)
            await report(workshop.database, version.id, canary.fence, IndexDamaged("It was erased."))
        return await ranked(ranker, version, *asked)

    monkeypatch.setattr(Ranker, "ranked", loses)
    found = await results(workshop, store)
    assert (found.index_version, {hit.key for hit in found.hits}) == (store.live_version, set(RULES))


@on_sqlite
async def test_whoever_restores_may_be_killed_anywhere(workshop: Workshop, store: Store) -> None:
    embedded, version = workshop.models.embedded.total(), await live(workshop, store)
    workshop.engine.drop(version.id)
    await results(workshop, store)
    steps = 0
    while actor := await restorer(workshop):
        await actor.step(steps := steps + 1)
        await actor.kill()
        await workshop.expire()
    assert steps > 5
    assert workshop.models.embedded.total() == 2 * embedded
    assert (await results(workshop, store)).explanation.problems == []
    await settled(workshop, store)


@on_sqlite
@pytest.mark.parametrize("step", (0, 3, 8, 14))
async def test_what_is_written_meanwhile_is_there_in_the_end(workshop: Workshop, store: Store, step: int) -> None:
    """A document is superseded, one deleted, one added, attributes are changed, after so many steps."""
    version = await live(workshop, store)
    workshop.engine.drop(version.id)
    await results(workshop, store)
    setting_aside = await restorer(workshop)
    assert setting_aside is not None
    uploading = Actor("worker", workshop.work())
    await workshop.upload(store, "k", "A rule that is on its way.")
    await uploading.step(step)  # it may have written to what is set aside now
    await setting_aside.finish()
    actor = await restorer(workshop)
    assert actor is not None
    await actor.step(step)
    await workshop.upload(store, "a", "Another rule for a. " * 3)
    await workshop.intake.delete_document(PROJECT, store.id, "b")
    row = await document(workshop, store, "c")
    await workshop.intake.set_attributes(PROJECT, store.id, row.file_id, {"team": "other"})
    await uploading.finish()
    await workshop.expire()
    await workshop.work()
    await workshop.upload(store, "l", "The last rule.")
    await actor.finish()
    await settled(workshop, store)
    expected = {key: text for key, text in RULES.items() if key not in "ab"}
    expected |= {"a": ("Another rule for a. " * 3).strip(), "k": "A rule that is on its way.", "l": "The last rule."}
    assert await workshop.documents(store) == expected


async def test_points_that_are_lost_one_by_one_are_counted_and_made_again(workshop: Workshop, store: Store) -> None:
    embedded, version = workshop.models.embedded.total(), await live(workshop, store)
    index = workshop.engine.open(version.id, opened_as(version).manifest)
    lost = (await document(workshop, store, "d")).id
    chunks = len(index.chunk_ids(lost))
    index.delete(lost)
    await Stocktaker(workshop.database, workshop.engine).once()
    found = await results(workshop, store)
    assert "9 of 10 documents" in found.explanation.problems[0]
    await restored(workshop)
    assert workshop.models.embedded.total() == embedded + chunks
    assert (await results(workshop, store)).explanation.problems == []
    await settled(workshop, store)


async def test_a_build_that_loses_what_it_has_goes_on_from_the_start(workshop: Workshop, store: Store) -> None:
    version = await workshop.begin(store, embedding_model="hashing-32")
    row = await workshop.claim_build()
    assert row is not None
    actor = Actor("builder", workshop.builder.build(row))
    while not workshop.models.embedded["hashing-32"]:
        await actor.step()
    await actor.step(2)
    await actor.kill()
    workshop.engine.drop(version.id)
    await workshop.expire()
    await workshop.build()
    assert (await workshop.version(version.id)).state == VersionState.READY
    await settled(workshop, store)


async def test_a_store_that_nothing_was_written_to_is_no_damage(workshop: Workshop) -> None:
    empty = await workshop.store()
    await Stocktaker(workshop.database, workshop.engine).once()
    found = await results(workshop, empty)
    assert (found.hits, found.explanation.problems) == ([], [])
