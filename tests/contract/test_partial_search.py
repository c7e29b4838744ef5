"""A search that runs out of time, or whose model is gone, gives what it has and says what is missing."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from indexes.catalog import versions
from indexes.engines.exact_index import ExactIndex
from indexes.errors import IndexDamaged, NotFound, Overloaded, Unavailable
from indexes.model import Vector
from retrieval.query import Query
from retrieval.recall import RecallWatch, Replay
from tests.workshop import MANIFEST, PROJECT, Workshop


class Late:
    """Models whose queries take long, or fail."""

    def __init__(self, models: Any, error: Exception | None = None) -> None:
        self._models, self._error = models, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)

    async def embedder(self, spec: Any) -> Any:
        embedder = await self._models.embedder(spec)
        embedder.queries = self._queries
        return embedder

    async def _queries(self, texts: Sequence[str]) -> Vector:
        if self._error is not None:
            raise self._error
        await asyncio.sleep(3600)
        raise AssertionError


@pytest.mark.parametrize("error", [None, Unavailable("The model is gone."), NotFound("The model is gone.")])
async def test_the_words_alone_decide_where_the_question_is_not_embedded(
    workshop: Workshop, error: Exception | None
) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()
    object.__setattr__(workshop.searcher._ranker, "models", Late(workshop.models, error))
    results = await workshop.searcher.search(PROJECT, store.id, Query(("herons",), 5, within_s=0.05))
    assert [hit.key for hit in results.hits] == ["a"]
    (problem,) = results.explanation.problems
    assert "words alone" in problem and (error is None or "model is gone" in problem)
    with pytest.raises(Unavailable):
        await workshop.searcher.search(PROJECT, store.id, Query(("herons",), 5, within_s=0.05, lexical_weight=0))
    if error is not None:
        with pytest.raises(type(error)):  # and is neither warm, nor compared by its words
            await workshop.searcher._ranker.warm(versions.opened_as(await workshop.version(store.live_version)))


@pytest.mark.parametrize(
    ("late", "query", "problem"),
    [
        ("lexical", Query(("herons",), 5), "Found by meaning alone: The search by words was not done in time."),
        ("vectors", Query(("herons",), 5, diversity=0.5), "The hits were not diversified: The time was up."),
        (
            "text",
            Query(("herons",), 5, neighbours=1),
            "The hits were not joined with their neighbours: The time was up.",
        ),
    ],
)
async def test_nothing_is_waited_for_when_the_time_is_up(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, late: str, query: Query, problem: str
) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()
    over = threading.Event()

    def fails_later(*_: object) -> None:
        over.wait(60)
        raise Unavailable("Nobody hears this.")

    if late == "text":
        object.__setattr__(workshop.searcher._refiner, "read_text", fails_later)
    else:
        monkeypatch.setattr(ExactIndex, late, fails_later)
    try:
        results = await workshop.searcher.search(PROJECT, store.id, replace(query, within_s=1.0))
    finally:
        over.set()
    assert [hit.key for hit in results.hits] == ["a"]
    assert results.explanation.problems == [problem]


async def test_a_model_that_is_full_refuses_at_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    store, over = await workshop.store(), threading.Event()
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()
    object.__setattr__(workshop.searcher._ranker, "models", Late(workshop.models, Overloaded("The queue is full.")))
    monkeypatch.setattr(ExactIndex, "lexical", lambda *_: over.wait(60) and [])
    try:
        with pytest.raises(Overloaded):
            await workshop.search(store)
    finally:
        over.set()


async def test_a_version_that_takes_long_to_open_is_not_waited_for_but_counted(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()
    over, count = threading.Event(), ExactIndex.count
    monkeypatch.setattr(ExactIndex, "count", lambda index: over.wait(60) and count(index))
    try:
        with pytest.raises(Unavailable):
            await workshop.searcher.search(PROJECT, store.id, Query(("herons",), 5, within_s=0.05))
    finally:
        over.set()
    assert len(await workshop.search(store)) == 1


async def test_hits_that_cannot_be_diversified_are_handed_out(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread, store = Query(("herons",), 5, diversity=0.5), await workshop.store()
    assert await workshop.search(store, spread) == []  # nothing was ever written to it
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()

    def lost(index: ExactIndex, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        raise IndexDamaged("The vectors cannot be read.")

    monkeypatch.setattr(ExactIndex, "vectors", lost)
    results = await workshop.searcher.search(PROJECT, store.id, spread)
    assert [hit.key for hit in results.hits] == ["a"]
    assert results.explanation.problems == ["The hits were not diversified: The vectors cannot be read."]
    workshop.engine.drop(store.live_version)
    results = await workshop.searcher.search(PROJECT, store.id, spread)
    assert results.hits == [] and "is being restored" in results.explanation.problems[0]


async def test_a_sample_of_approximate_searches_is_done_again_exactly(workshop: Workshop) -> None:
    store = await workshop.store()
    for number in range(12):
        await workshop.upload(store, f"{number}", f"A rule of heron {number}.")
    await workshop.work()
    version = await workshop.version(store.live_version)
    index = workshop.engine.open(version.id, versions.read_manifest(version.manifest))
    embedder = await workshop.models.embedder(MANIFEST.embedding)
    (vector,) = await embedder.queries(["a rule of heron 3"])
    for found in (index.dense(vector, 10), index.dense(vector, 10)[:5]):
        watch = RecallWatch(1.0, workshop.observations.note_recall)
        watch.consider(Replay(version.id, index, vector, None, (), found))
        assert watch._replaying is not None
        await watch._replaying
    await workshop.observations.flush()
    version = await workshop.version(store.live_version)
    assert version.recall_samples == 2 and 0.7 <= version.recall < 1.0  # equally near chunks count as found
