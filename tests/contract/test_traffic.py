"""Candidates take their share of the live queries, the same keys always, and what is remembered of them is bounded."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.catalog import observed, promotion
from indexes.catalog.tables import IndexVersion, Store
from indexes.catalog.version_tables import RecordedQuery, TrialRow
from indexes.catalog.versions import Version
from indexes.catalog.visibility import Candidate, View
from indexes.manifest import AnnSpec
from retrieval.query import Query
from retrieval.traffic import Traffic
from tests.workshop import ENGINEER, MANIFEST, Workshop

KEYS = 2_000


def chosen(shares: list[float], query: Query) -> str:
    candidates = tuple(Candidate(Version(f"ixv_{number}", MANIFEST), 0.0, share) for number, share in enumerate(shares))
    view = View("vs_1", Version("ixv_live", MANIFEST), (), (), 0.0, candidates)
    return Traffic(None, None).chosen(view, query).id  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1), prefix=st.text(max_size=8))
def test_a_canary_gets_its_share_of_the_keys_and_keeps_them(share: float, prefix: str) -> None:
    def canaries(share: float) -> set[str]:
        queries = {f"{prefix}{number}": Query(("same",), 1, sticky_key=f"{prefix}{number}") for number in range(KEYS)}
        return {key for key, query in queries.items() if chosen([share], query) == "ixv_0"}

    mine = canaries(share)
    deviation = (share * (1 - share) / KEYS) ** 0.5
    assert abs(len(mine) / KEYS - share) <= 6 * deviation + 5 / KEYS  # a few keys: small shares are skewed
    assert canaries(share) == mine
    assert canaries(share / 2) <= mine


def test_two_canaries_share_out_the_keys_independently() -> None:
    counts = Counter(chosen([0.5, 0.5], Query((f"question {number}",), 1)) for number in range(KEYS))
    assert counts["ixv_0"] / KEYS == pytest.approx(0.5, abs=0.06)
    assert counts["ixv_1"] / KEYS == pytest.approx(0.25, abs=0.06)


def test_who_names_a_version_or_a_snapshot_is_not_tried_on() -> None:
    assert chosen([1.0], Query(("q",), 1)) == "ixv_0"
    for query in (Query(("q",), 1, index_version="ixv_live"), Query(("q",), 1, snapshot="monday")):
        assert chosen([1.0], query) == "ixv_live"


async def shares(workshop: Workshop, version: IndexVersion, shadow: float, canary: float) -> None:
    async with workshop.database.write() as session:
        row = await session.get(IndexVersion, version.seq)
        assert row is not None
        await promotion.set_traffic(session, row, shadow, canary, ENGINEER)


@pytest.fixture
async def store(workshop: Workshop) -> Store:
    store = await workshop.store()
    for key in "abc":
        await workshop.upload(store, key, f"A rule of {key}.")
    await workshop.work()
    return store


async def test_shadows_look_and_canaries_answer(workshop: Workshop, store: Store) -> None:
    version = await workshop.built(store, ann=AnnSpec(m=8))
    await shares(workshop, version, 1.0, 0.0)
    assert {hit.index_version for hit in await workshop.search(store)} == {store.live_version}
    while workshop.traffic._shadows:
        await asyncio.sleep(0.01)
    await shares(workshop, version, 0.0, 1.0)
    assert {hit.index_version for hit in await workshop.search(store)} == {version.id}
    await workshop.observations.flush()
    async with workshop.database.read() as session:
        canary, shadow = await observed.trials(session, version.id, store.live_version)
    assert (canary.kind, canary.baseline_ranking, len(canary.candidate_ranking)) == ("canary", [], 3)
    assert (shadow.kind, shadow.baseline_ranking) == ("shadow", shadow.candidate_ranking)
    trials = await workshop.gatekeeper.comparer.trials(await workshop.version(store.live_version), version)
    assert (trials.shadows, trials.canaries, trials.mean_overlap) == (1, 1, 1.0)

    await workshop.promote(store, version.id)
    await workshop.rollback(store)
    assert {hit.index_version for hit in await workshop.search(store)} == {store.live_version}


async def test_the_newest_queries_and_trials_are_kept(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observed, "_MOST_TRIALS", 3)
    live = store.live_version
    for first in (0, 4):
        queries = [RecordedQuery(store_id=store.id, text=f"question {first + one}") for one in range(4)]
        trials = [
            TrialRow(
                version_id=live,
                baseline=live,
                kind="shadow",
                baseline_ranking=[],
                candidate_ranking=[],
                candidate_ms=first + one,
            )
            for one in range(4)
        ]
        gone = [RecordedQuery(store_id="vs_gone", text="a question")]
        async with workshop.database.write() as session:
            await observed.put(session, [*queries, *gone], trials, most_queries=5)
    async with workshop.database.read() as session:
        assert await observed.queries(session, store.id, 10) == [f"question {one}" for one in (7, 6, 5, 4, 3)]
        assert await observed.queries(session, store.id, 2) == ["question 7", "question 6"]
        assert [row.candidate_ms for row in await observed.trials(session, live, live)] == [7, 6, 5]
