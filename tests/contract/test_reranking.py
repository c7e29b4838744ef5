"""Reranking of hits: within its time, from a reranker that may be late, busy or down."""

import asyncio
import logging
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.embedders.hashing import WordTokenizer
from indexes.errors import Overloaded
from indexes.model import Chunk, Hit, Scores, Span, Vector
from indexes.reranker import RerankerSpec
from indexes.rerankers.settings import MaxSimSettings, NoRerankSettings
from retrieval.rerank import _SLICE, Reranked, Reranking

SETTINGS = MaxSimSettings(candidates=3 * _SLICE, budget_s=5)


class Said:
    """Gives each text the score that it says. "late" never comes, "busy" and "bug" fail."""

    spec, tokenizer = RerankerSpec("said"), WordTokenizer()

    def __init__(self) -> None:
        self.cancelled = 0

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        if "late" in texts:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if "busy" in texts:
            raise Overloaded("Too much waits.")
        if "bug" in texts:
            raise ZeroDivisionError
        return np.array([float(text) for text in texts], dtype=np.float32)

    async def close(self) -> None:
        pass


def hits(texts: Sequence[object]) -> list[Hit]:
    return [
        Hit(
            chunk=Chunk(f"chunk_{at}", "rev_1", Span(0, 1, at, 1), str(text)),
            scores=Scores(fused=1 / (at + 1), dense=0.5),
            store_id="vs_1",
            index_version="ixv_1",
            file_id="file-1",
            filename="a.md",
            key="a.md",
            attributes={},
        )
        for at, text in enumerate(texts)
    ]


def texts(ranked: Reranked) -> list[str]:
    return [hit.chunk.text for hit in ranked.hits]


@given(scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=40))
def test_the_candidates_are_ordered_and_the_others_stay_behind(scores: list[float]) -> None:
    found = hits(scores)
    ranked = asyncio.run(Reranking(Said(), SETTINGS).rank("question", found, within_s=5))
    count = min(len(found), SETTINGS.candidates)
    assert (ranked.reranked, ranked.model, ranked.problem) == (count, "said", None)
    best = sorted(found[:count], key=lambda hit: (-float(hit.chunk.text), hit.chunk.id.zfill(9)))
    assert [hit.chunk for hit in ranked.hits] == [hit.chunk for hit in best + found[count:]]
    assert [hit.scores.rerank for hit in ranked.hits[:count]] == sorted(scores[:count], reverse=True)
    assert all(hit.scores.rerank is None for hit in ranked.hits[count:])
    assert {hit.scores.fused for hit in ranked.hits} == {hit.scores.fused for hit in found}


async def test_what_is_late_stays_in_the_order_it_had() -> None:
    reranker, scores = Said(), [0.1 + at / 100 for at in range(_SLICE)]
    found = hits([*scores, "late", *[0.9] * (2 * _SLICE - 1), 0.9])
    ranked = await Reranking(reranker, SETTINGS).rank("question", found, within_s=0.05)
    # The third slice was scored, but behind one that was not: its hits must not overtake better ones.
    assert ranked.reranked == _SLICE
    assert ranked.problem == f"The time was up after {_SLICE} of {3 * _SLICE} hits."
    assert texts(ranked) == [*map(str, reversed(scores)), *texts(ranked)[_SLICE:]]
    assert ranked.hits[_SLICE:] == found[_SLICE:]
    await asyncio.sleep(0)
    assert reranker.cancelled == 1


async def test_the_budget_of_the_settings_counts_too_and_no_time_is_none() -> None:
    reranking = Reranking(Said(), MaxSimSettings(budget_s=0.05))
    for within_s in (60, 0, -1):
        ranked = await reranking.rank("question", hits(["late"]), within_s)
        assert (ranked.reranked, texts(ranked)) == (0, ["late"])
        assert "time was up" in (ranked.problem or "")


@pytest.mark.parametrize(("text", "said"), [("busy", "Too much waits."), ("bug", "The reranker failed: ZeroDivision")])
async def test_a_reranker_that_fails_leaves_the_order_and_is_logged_once(
    text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    reranking = Reranking(Said(), SETTINGS)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            ranked = await reranking.rank("question", hits([0.1, text, 0.9]), within_s=5)
            assert (ranked.reranked, texts(ranked)) == (0, ["0.1", text, "0.9"])
            assert (ranked.problem or "").startswith(said)
    assert len(caplog.records) == 1


async def test_a_caller_that_leaves_takes_its_texts_along() -> None:
    reranker = Said()
    call = asyncio.create_task(Reranking(reranker, SETTINGS).rank("question", hits(["late"] * 12), within_s=60))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.sleep(0)
    assert reranker.cancelled == 3


async def test_without_a_reranker_hits_stay_as_they_are() -> None:
    found = hits([0.1, 0.9])
    assert await Reranking(None, NoRerankSettings()).rank("question", found, 1) == Reranked(found, 0, "none")
    assert (await Reranking(Said(), SETTINGS).rank("question", [], 1)).hits == []
