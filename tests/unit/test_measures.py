"""Measures of rankings, against values worked out by hand and against what must hold of any ranking."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.measures import ndcg, quality, recall, reciprocal_rank

DOCUMENTS = st.sampled_from("abcdefgh")
RANKINGS = st.lists(DOCUMENTS)
GRADES = st.dictionaries(DOCUMENTS, st.integers(-1, 3), min_size=1)
CUTS = st.integers(1, 10)


def test_ndcg_by_hand() -> None:
    # The graded example: 3 at rank 1, 0 at rank 2, 2 at rank 3; the ideal order is 3, 2, 1.
    grades = {"a": 3, "b": 2, "c": 1, "x": 0}
    expected = (3 + 2 / log2(4)) / (3 + 2 / log2(3) + 1 / log2(4))
    assert ndcg(["a", "x", "b"], grades, 10) == pytest.approx(expected)
    assert ndcg(["a", "x", "b"], grades, 1) == 1.0
    assert ndcg(["x", "a"], {"a": 1}, 10) == pytest.approx(1 / log2(3))


def test_ndcg_at_k_asks_for_k_only() -> None:
    grades = dict.fromkeys("abcdefghijkl", 1)
    assert ndcg(list("abcdefghij"), grades, 10) == pytest.approx(1.0)


def test_recall_and_reciprocal_rank_by_hand() -> None:
    grades = {"a": 1, "b": 2, "x": 0}
    assert recall(["x", "a", "y"], grades, 3) == 0.5
    assert recall(["x", "a", "y"], grades, 1) == 0.0
    assert reciprocal_rank(["x", "y", "b"], grades, 3) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "y", "b"], grades, 2) == 0.0


def test_passages_count_as_their_document_at_its_best_place() -> None:
    passages, documents = ["x", "x", "x", "a", "x", "b"], ["x", "a", "b"]
    grades = {"a": 1, "b": 1}
    for measure in (ndcg, recall, reciprocal_rank):
        assert measure(passages, grades, 2) == measure(documents, grades, 2)


def test_a_run_is_the_mean_over_queries_that_can_be_answered() -> None:
    judgements = {"found": {"a": 1}, "missed": {"b": 1}, "nothing is relevant": {"c": 0}}
    measured = quality({"found": ["a"], "nothing is relevant": ["c"], "never judged": ["a"]}, judgements)
    assert measured.queries == 2
    assert (measured.ndcg_10, measured.recall_10, measured.recall_100, measured.mrr_10) == (0.5, 0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="relevant"):
        quality({}, {"q": {"a": 0}})


@given(RANKINGS, GRADES, CUTS)
def test_every_measure_lies_between_0_and_1(ranking: list[str], grades: dict[str, int], k: int) -> None:
    for measure in (ndcg, recall, reciprocal_rank):
        assert 0.0 <= measure(ranking, grades, k) <= 1.0 + 1e-12


@given(RANKINGS, GRADES, CUTS)
def test_a_better_order_never_measures_worse(ranking: list[str], grades: dict[str, int], k: int) -> None:
    better = sorted(dict.fromkeys(ranking), key=lambda document: -max(0, grades.get(document, 0)))
    for measure in (ndcg, recall, reciprocal_rank):
        assert measure(better, grades, k) >= measure(ranking, grades, k) - 1e-12
