"""Comparing rankings without judgements: against values worked out by hand, and against what must always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.rankings import overlap, rank_biased_overlap, score_shift

RANKINGS = st.lists(st.sampled_from("abcdefghijkl"))
PS = st.floats(0.05, 0.99)


def test_overlap_by_hand() -> None:
    assert overlap("abcd", "dcxy", 4) == 0.5
    assert overlap("abcd", "dcxy", 1) == 0.0
    assert overlap("aabb", "ba", 2) == 1.0  # repeated ids count once
    assert overlap("ab", "abcd", 10) == 0.5  # what one does not find is not shared
    assert overlap("", "", 10) == 1.0
    assert overlap("", "a", 10) == 0.0


def test_rank_biased_overlap_by_hand() -> None:
    # Agreement at depths 1 to 3 is 0, 1/2, 2/3; the last goes on below.
    expected = 0.5 / 0.5 * (0.5 * 0.5**2 + 2 / 3 * 0.5**3) + 2 / 3 * 0.5**3
    assert rank_biased_overlap("abc", "xab", 0.5) == pytest.approx(expected)


def test_rank_biased_overlap_of_unequal_lengths_by_hand() -> None:
    # Short "ab", long "bcad": X is 0, 1, 2, 2, and X_s is 1. Equation 32, term by term, with p = 0.8.
    p = 0.8
    seen = sum(x / d * p**d for d, x in enumerate((0, 1, 2, 2), 1))
    assumed = sum(1 * (d - 2) / (2 * d) * p**d for d in (3, 4))
    expected = (1 - p) / p * (seen + assumed) + ((2 - 1) / 4 + 1 / 2) * p**4
    assert rank_biased_overlap("ab", "bcad", p) == pytest.approx(expected)


def test_a_short_list_that_agrees_so_far_agrees() -> None:
    assert rank_biased_overlap("ab", "abcdef") == pytest.approx(1.0)
    assert rank_biased_overlap("", "") == 1.0
    assert rank_biased_overlap("", "a") == 0.0


@pytest.mark.parametrize("p", [0.0, 1.0, float("nan")])
def test_p_must_leave_a_reader_who_stops_some_time(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rank_biased_overlap("a", "a", p)


@given(RANKINGS, RANKINGS, PS)
def test_both_are_symmetric_and_between_0_and_1(first: list[str], second: list[str], p: float) -> None:
    assert 0.0 <= rank_biased_overlap(first, second, p) == rank_biased_overlap(second, first, p) <= 1.0
    assert 0.0 <= overlap(first, second, 10) == overlap(second, first, 10) <= 1.0


@given(RANKINGS, PS)
def test_equal_rankings_agree_and_disjoint_ones_do_not(ranking: list[str], p: float) -> None:
    assert rank_biased_overlap(ranking, ranking, p) == pytest.approx(1.0)
    assert overlap(ranking, ranking, 10) == 1.0
    if ranking:
        assert rank_biased_overlap(ranking, [letter.upper() for letter in ranking], p) == 0.0


@given(st.permutations("abcdef"), st.integers(0, 4), PS)
def test_a_swap_further_up_costs_more(ranking: list[str], place: int, p: float) -> None:
    def swapped(first: int) -> list[str]:
        return [*ranking[:first], ranking[first + 1], ranking[first], *ranking[first + 2 :]]

    costs = [1 - rank_biased_overlap(ranking, swapped(first), p) for first in range(place + 1)]
    assert costs == sorted(costs, reverse=True)


def test_score_shift_by_hand() -> None:
    live = [[0.9, 0.5], [0.6, 0.4], [0.8], []]
    candidate = [[0.5, 0.4], [0.4, 0.1], [], [0.9]]
    shift = score_shift(live, candidate)
    assert shift is not None
    assert shift.queries == 2  # those that found something in both
    assert (shift.live_top, shift.candidate_top, shift.shift) == pytest.approx((0.75, 0.45, -0.3))
    assert (shift.live_spread, shift.candidate_spread) == pytest.approx((0.3, 0.2))
    assert score_shift([[]], [[0.5]]) is None
