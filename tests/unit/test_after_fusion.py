"""What is done to hits once they are ranked: spread over matters and documents, and given their surroundings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexes.model import Chunk, Hit, Scores, Span
from retrieval.diversify import capped, mmr
from retrieval.neighbours import joined

TEXT = "One. Two.\n\nThree. Four.  Five."
SPANS = [(0, 9), (5, 17), (11, 23), (18, 30)]  # the second and third overlap, others leave white space out


def test_mmr_puts_what_was_said_already_behind_what_was_not():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    relevance = {"best": 1.0, "again": 0.9, "other": 0.5}
    assert mmr(list(relevance), relevance, vectors, trade_off=0.5) == ["best", "other", "again"]
    assert mmr(list(relevance), relevance, vectors, trade_off=1.0) == ["best", "again", "other"]
    assert mmr([], {}, np.empty((0, 2), np.float32), trade_off=0.5) == []


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=6), st.sampled_from([0.25, 0.5, 1.0]))
def test_mmr_keeps_every_hit_and_the_order_of_equals(scores, trade_off):
    names = [f"c{at}" for at in range(len(scores))]
    vectors = np.tile(np.array([1, 0], np.float32), (len(scores), 1))  # all alike: only relevance is left
    order = mmr(names, dict(zip(names, scores, strict=True)), vectors, trade_off=trade_off)
    assert sorted(order) == names
    assert [scores[names.index(name)] for name in order] == sorted(scores, reverse=True)


def test_at_most_so_many_chunks_of_a_document():
    assert capped(["a1", "a2", "b1", "a3"], {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}, most=2) == ["a1", "a2", "b1"]


def chunk(ordinal, revision="rev"):
    start, end = SPANS[ordinal]
    return Chunk(
        f"{revision}-{ordinal}", revision, Span(start, end, ordinal, 4, ordinal + 1, ordinal + 1), TEXT[start:end]
    )


def hit(ordinal, score, revision="rev"):
    return Hit(chunk(ordinal, revision), Scores(score), "vs", "ixv", "file", "a.md", "a.md", {})


def test_neighbours_become_one_passage_that_is_the_text_letter_by_letter():
    (passage,) = joined([hit(1, 0.9), hit(2, 0.3)], {"rev": [chunk(at) for at in range(4)]}, {"rev": TEXT})
    whole = passage.hit.chunk
    assert whole.text == TEXT[whole.span.start : whole.span.end] == TEXT
    assert (whole.id, whole.span.page_start, whole.span.page_end) == ("rev-1", 1, 4)
    assert passage.hit.scores.fused == 0.9
    assert passage.part(25, 30).id == "rev-3" and passage.part(0, 4).id == "rev-0"


def test_what_does_not_follow_stays_apart_in_the_order_of_the_hits():
    around = {"rev": [chunk(0), chunk(2), chunk(3)], "other": [chunk(1, "other")]}
    passages = joined([hit(3, 0.9), hit(1, 0.8, "other"), hit(0, 0.7)], around, {"rev": TEXT, "other": TEXT})
    assert [passage.hit.chunk.text for passage in passages] == [TEXT[11:], TEXT[5:17], TEXT[:9]]


def test_a_hit_without_surroundings_stays_as_it_is():
    assert [one.hit for one in joined([hit(1, 0.9)], {}, {})] == [hit(1, 0.9)]
