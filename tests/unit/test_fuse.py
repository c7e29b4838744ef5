"""Fusion of what two searches found."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.model import Match
from retrieval.fuse import by_score, fuse, reciprocal_rank

BY_RANK = partial(reciprocal_rank, k=5.0)
BY_SCORE = partial(by_score, limit=8)


def found(**scores):
    """Matches by chunk id, best first."""
    return [Match(name, "rev", score) for name, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


def fused(dense, lexical, dense_weight=1.0, lexical_weight=1.0, way=BY_SCORE):
    scores = way(dense, lexical, dense_weight=dense_weight, lexical_weight=lexical_weight)
    return {name: round(one.fused, 6) for name, one in scores.items()}


def test_scores_are_stretched_and_weighed():
    ask = partial(fused, found(a=0.9, b=0.9, c=0.5), found(c=12.0, d=12.0, a=2.0), way=partial(by_score, limit=3))
    assert ask() == {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}
    assert ask(dense_weight=3.0) == {"a": 0.75, "b": 0.75, "c": 0.25, "d": 0.25}


def test_a_short_lexical_list_counts_from_zero():
    dense = found(**{f"d{i}": 0.5 - i / 10 for i in range(5)})
    assert fused(dense, found(x=9.0, y=9.0, z=8.1), 0.0)["z"] == pytest.approx(0.9)


def test_words_that_all_of_a_small_store_share_count_from_zero():
    """Neither list was cut off, though both have the same length: a tiny gap of BM25 is not the widest there can be."""
    dense, lexical = found(z=0.80, a=0.50), found(a=2.00, z=1.98)
    assert next(iter(fused(dense, lexical))) == "z"


def test_cosines_that_are_nearly_equal_leave_it_to_the_words():
    dense, lexical = found(a=0.51, b=0.505, c=0.5), found(b=9.0, d=8.0, c=7.0)
    assert next(iter(fused(dense, lexical))) == "b"


def test_the_list_with_a_clear_first_has_the_say():
    unsure, sure = found(a=0.9, b=0.89, c=0.5), found(b=0.9, c=0.2, a=0.1)
    assert next(iter(fused(unsure, sure))) == "b"
    assert next(iter(fused(sure, unsure))) == "b"


def test_scores_of_each_search_stay_with_the_hit():
    scores = BY_SCORE(found(a=0.9), found(b=3.0), dense_weight=1.0, lexical_weight=1.0)
    assert (scores["a"].dense, scores["a"].lexical) == (0.9, None)
    assert (scores["b"].dense, scores["b"].lexical) == (None, 3.0)


@pytest.mark.parametrize("way", [BY_SCORE, BY_RANK])
def test_the_best_of_both_is_1_and_one_empty_list_leaves_the_order_of_the_other(way):
    both = found(a=0.9, b=0.4)
    assert fused(both, both, way=way)["a"] == 1.0
    for dense, lexical in ((both, []), ([], both)):
        scores = fused(dense, lexical, way=way)
        assert list(scores) == ["a", "b"] and 0.5 <= scores["a"] < 1
    assert fused([], [], way=way) == {}
    assert fused(both, [], 1.0, 0.0, way)["a"] == 1.0


def test_equal_scores_are_all_first_in_the_order_of_their_ids():
    assert list(fused(found(b=0.3, a=0.3), found(d=2.0, c=2.0))) == ["c", "d", "a", "b"]
    assert fused(found(b=0.3, a=0.3), []) == {"a": 0.5, "b": 0.5}


def test_settings_choose_the_fusion():
    dense, lexical = found(a=0.9, b=0.1), found(b=4.0)
    ask = partial(fuse, dense, lexical, limit=8, rrf_k=5.0, dense_weight=1.0, lexical_weight=1.0)
    assert ask(fusion="scores") == BY_SCORE(dense, lexical, dense_weight=1.0, lexical_weight=1.0)
    assert ask(fusion="rrf") == BY_RANK(dense, lexical, dense_weight=1.0, lexical_weight=1.0)


LISTS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 30), max_size=8).map(lambda scores: found(**scores))
WEIGHTS = st.floats(0, 100)


@given(LISTS, LISTS, WEIGHTS, WEIGHTS)
@pytest.mark.parametrize("way", [BY_SCORE, BY_RANK])
def test_any_lists_give_shares_in_order(way, dense, lexical, dense_weight, lexical_weight):
    scores = way(dense, lexical, dense_weight=dense_weight, lexical_weight=lexical_weight)
    assert scores.keys() == {match.chunk_id for match in (*dense, *lexical)}
    order = [(-one.fused, name) for name, one in scores.items()]
    assert order == sorted(order)
    assert all(0 <= one.fused <= 1 for one in scores.values())
