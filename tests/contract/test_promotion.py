"""Which version answers: promoted on numbers or by force, rolled back with nothing lost, kept for a while, erased."""

import itertools
import json
import random
import time

import pytest
from sqlalchemy import update

from evaluation.gatekeeper import Asked
from indexes.catalog import comparisons, history, promotion, stores
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor
from indexes.catalog.tables import IndexVersion, Store, VersionState
from indexes.catalog.version_tables import EventKind, VersionEvent
from indexes.errors import Conflict, GateFailed, InvalidRequest
from indexes.manifest import AnnSpec, Chunking
from retrieval.query import Query
from tests.actors import Actor
from tests.workshop import ENGINEER, PROJECT, Workshop

# Many more than ten, so that no version finds mostly the right ones by luck.
ANIMALS = [
    kind + animal
    for kind in ("", "sea", "hill", "marsh")
    for animal in (
        "badger",
        "heron",
        "otter",
        "lynx",
        "viper",
        "raven",
        "mole",
        "stoat",
        "crane",
        "newt",
        "toad",
        "hare",
    )
]
# Different enough that no two documents are equally near to a question: the order of their ids would decide.
NEIGHBOURS = {animal: random.Random(animal).sample(ANIMALS, 4) for animal in ANIMALS}
QUESTIONS = [
    form.format(animal, *others)
    for form in ("Where near {1} does the {0} sleep?", "The den of {2} or {3}?")
    for animal, others in NEIGHBOURS.items()
]


@pytest.fixture
async def store(workshop: Workshop) -> Store:
    store = await workshop.store()
    for animal, others in NEIGHBOURS.items():
        await workshop.upload(store, animal, f"The {animal} sleeps in its {animal} den, near {' and '.join(others)}.")
    await workshop.work()
    return store


async def golden_set(workshop: Workshop, store: Store, name: str, queries: list[dict[str, object]]) -> str:
    content = "".join(json.dumps(query) + "\n" for query in queries)
    async with workshop.database.write() as session:
        row = await comparisons.put_golden(
            session, store.id, name, sha256=name.ljust(64, "0"), queries=len(queries), content=content
        )
        return row.id


async def events(workshop: Workshop, store: Store) -> list[VersionEvent]:
    async with workshop.database.read() as session:
        page = await history.listing(session, store.id, Cursor(limit=100, order="asc"))
    return list(page.rows)


async def test_promoted_rolled_back_and_promoted_again_with_writes_in_between(workshop: Workshop) -> None:
    store = await workshop.store()
    expected = {}

    async def write(key: str) -> None:
        expected[key] = f"A rule of {key}."
        await workshop.upload(store, key, expected[key])
        await workshop.work()
        for version in await workshop.versions(store, VersionState.READY, VersionState.LIVE, VersionState.RETIRED):
            found = await workshop.documents(store, Query(("rule",), limit=500, index_version=version.id))
            assert found == expected
        assert await workshop.documents(store) == expected

    first = store.live_version
    await write("a")
    with pytest.raises(Conflict, match="no earlier"):
        await workshop.rollback(store)
    building = await workshop.begin(store, chunking=Chunking(16, 0))
    with pytest.raises(Conflict, match="cannot be searched"):
        await workshop.promote(store, building.id)
    await workshop.build()
    await write("b")
    with pytest.raises(Conflict, match="made live meanwhile"):
        async with workshop.database.write() as session:
            await promotion.promote(session, store.id, building.id, ENGINEER, instead_of="ixv_another")
    for live in (building.id, first, building.id):
        if live == first:
            assert await workshop.rollback(store) == first
        else:
            await workshop.promote(store, live)
        await write(live)
        assert {hit.index_version for hit in await workshop.search(store)} == {live}
    with pytest.raises(Conflict, match="is live"):
        await workshop.delete_version(store, building.id)
    kinds = [event.kind.value for event in await events(workshop, store)]
    assert kinds == ["created", "ready", "promoted", "rolled_back", "promoted"]
    await workshop.check(store)


async def grow_old(workshop: Workshop) -> None:
    async with workshop.database.write() as session:
        await session.execute(update(IndexVersion).values(retired_at=time.time() - 7200))


async def test_a_version_past_its_retention_is_erased_unless_it_came_back(workshop: Workshop) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule. " * 20)
    await workshop.work()
    first, finer = store.live_version, await workshop.built(store, chunking=Chunking(16, 0))
    await workshop.promote(store, finer.id)
    await workshop.reconciler.once()
    assert (await workshop.version(first)).state == VersionState.RETIRED
    for steps in itertools.count(1):
        await grow_old(workshop)
        cleaning = Actor("reconciler", workshop.reconciler.once())
        await cleaning.step(steps)
        if (await workshop.version(first)).state == VersionState.DELETED:
            break
        assert await workshop.rollback(store) == first
        await cleaning.finish()
        await workshop.promote(store, finer.id)
        assert (await workshop.version(first)).state == VersionState.RETIRED
    await cleaning.finish()
    await workshop.reconciler.once()
    erased = await workshop.version(first)
    assert (erased.state, erased.erased) == (VersionState.DELETED, True)
    assert (await events(workshop, store))[-1].reason == "past its retention"
    await workshop.check(store)


async def test_the_gate_lets_pass_what_finds_the_same(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, ann=AnnSpec(m=8))
    with pytest.raises(GateFailed, match="20 is the least") as refused:
        await workshop.gatekeeper.promote(PROJECT, store.id, version.id, ENGINEER)
    assert refused.value.report["verdict"] == "insufficient"
    assert (await workshop.version(version.id)).state == VersionState.READY

    for text in QUESTIONS:
        await workshop.search(store, Query((text,), limit=5))
    await workshop.observations.flush()
    report = await workshop.gatekeeper.compare(PROJECT, store.id, None, version.id, Asked())
    assert (report.verdict, report.report["reasons"]) == ("passed", [])
    promoted = await workshop.gatekeeper.promote(PROJECT, store.id, version.id, ENGINEER)
    assert promoted.state == VersionState.LIVE
    last = (await events(workshop, store))[-1]
    assert (last.kind, last.forced, last.comparison_id, last.actor) == (
        EventKind.PROMOTED,
        False,
        report.id,
        ENGINEER.actor,
    )
    again = await workshop.gatekeeper.promote(PROJECT, store.id, version.id, ENGINEER)
    assert again.promoted_at == promoted.promoted_at


async def test_the_gate_stops_a_worse_one_unless_it_is_forced_with_a_reason(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, embedding_model="hashing-1")  # in which all is near to all
    async with workshop.database.write() as session:  # how well two orders of ties agree is luck, but never so well
        (await stores.get(session, PROJECT, store.id)).gate = {"min_overlap": 0.6}
    report = await workshop.gatekeeper.compare(PROJECT, store.id, None, version.id, Asked(queries=QUESTIONS))
    assert report.verdict == "failed", report.report["reasons"]
    gatekeeper = workshop.gatekeeper
    with pytest.raises(GateFailed) as refused:
        await gatekeeper.promote(PROJECT, store.id, version.id, ENGINEER)
    assert refused.value.report["id"] == report.id
    for reason in (None, " "):
        with pytest.raises(InvalidRequest, match="needs a reason"):
            await gatekeeper.promote(PROJECT, store.id, version.id, Because("engineer", reason), force=True)
    forced = await gatekeeper.promote(PROJECT, store.id, version.id, Because("engineer", "a drill"), force=True)
    assert forced.state == VersionState.LIVE
    last = (await events(workshop, store))[-1]
    assert (last.forced, last.reason, last.comparison_id) == (True, "a drill", report.id)


async def test_a_golden_set_judges_by_what_is_still_there(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, ann=AnnSpec(m=8))
    renamed = [
        {"id": animal, "query": f"Where does the {animal} sleep?", "relevant": {"keys": [f"old/{animal}"]}}
        for animal in ANIMALS[:20]
    ]
    kept = [
        {"id": animal, "query": f"Where does the {animal} sleep?", "relevant": {"keys": [animal, f"old/{animal}"]}}
        for animal in ANIMALS[20:]
    ]
    await golden_set(workshop, store, "half", [*renamed, *kept])
    report = await workshop.gatekeeper.compare(PROJECT, store.id, None, version.id, Asked())
    recall = next(line for line in report.report["lines"] if line["measure"] == "recall_10")
    assert recall["queries"] == len(ANIMALS) - 20
    assert recall["live"] > 0.5  # half of what is named is gone
    assert f"20 of {len(ANIMALS)} queries of the golden set name nothing" in " ".join(report.report["remarks"])


async def test_only_a_report_by_the_newest_golden_set_promotes(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, ann=AnnSpec(m=8))
    questions = [
        {"id": animal, "query": f"Where does the {animal} sleep?", "relevant": {"keys": [animal]}} for animal in ANIMALS
    ]
    await golden_set(workshop, store, "easy", questions)
    strict = await golden_set(workshop, store, "strict", questions[::2])
    named = await workshop.gatekeeper.compare(PROJECT, store.id, None, version.id, Asked(golden_set="easy"))
    await workshop.gatekeeper.promote(PROJECT, store.id, version.id, ENGINEER)
    last = (await events(workshop, store))[-1]
    assert last.comparison_id != named.id
    async with workshop.database.read() as session:
        assert (await comparisons.get(session, store.id, last.comparison_id)).golden_set_id == strict


async def test_numbers_against_another_version_than_the_live_one_promote_nothing(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await workshop.built(store, ann=AnnSpec(m=8))
    other = await workshop.built(store, ann=AnnSpec(m=12))
    warm = type(workshop.gatekeeper.comparer.ranker).warm

    async def meanwhile(self, version) -> None:
        await warm(self, version)
        if version.id == one.id:
            await workshop.promote(store, other.id)

    monkeypatch.setattr(type(workshop.gatekeeper.comparer.ranker), "warm", meanwhile)
    with pytest.raises(Conflict, match="made live meanwhile"):
        await workshop.gatekeeper.promote(PROJECT, store.id, one.id, Because("engineer", "a drill"), force=True)
    async with workshop.database.read() as session:
        assert await comparisons.latest(session, store.id, store.live_version, one.id) is None
