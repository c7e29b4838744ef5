"""Intervals: degenerate samples, coverage of a known mean, and that better values never make a worse interval."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.bootstrap import mean_interval, quantile_ratio_interval

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=12)


def test_no_query_is_an_error_and_one_says_nothing_of_others() -> None:
    with pytest.raises(ValueError, match="No query"):
        mean_interval([])
    one = mean_interval([0.25])
    assert (one.queries, one.estimate, one.low, one.high, one.below_zero) == (1, 0.25, -inf, inf, 0.5)


@pytest.mark.parametrize("count", [2, 7, 300])
def test_equal_samples_differ_by_0_with_no_width(count: int) -> None:
    same = mean_interval([0.0] * count)
    assert (same.estimate, same.low, same.high, same.below_zero) == (0.0, 0.0, 0.0, 0.0)
    always = mean_interval([-0.1] * count)
    assert (always.estimate, always.low, always.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert always.below_zero == 1.0


def test_the_interval_is_that_of_the_normal_law_for_many_queries() -> None:
    values = np.random.default_rng(3).normal(0.02, 0.1, 400)
    interval = mean_interval(values.tolist(), 0.9)
    half = 1.645 * values.std() / sqrt(400)
    assert interval.low == pytest.approx(values.mean() - half, abs=half / 10)
    assert interval.high == pytest.approx(values.mean() + half, abs=half / 10)
    assert interval == mean_interval(values.tolist(), 0.9)


def test_more_resamples_than_fit_at_once_are_drawn_in_parts() -> None:
    interval = mean_interval([0.0, 1.0] * 1_500)
    assert (interval.low, interval.high) == pytest.approx((0.485, 0.515), abs=0.002)


@settings(deadline=None, max_examples=25)
@given(VALUES, st.data())
def test_a_better_query_never_lowers_an_interval(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    better = [value + (0.3 if index == place else 0.0) for index, value in enumerate(values)]
    before, after = mean_interval(values), mean_interval(better)
    assert before.low <= after.low + 1e-12
    assert before.high <= after.high + 1e-12
    assert before.below_zero >= after.below_zero
    assert min(values) - 1e-12 <= before.low <= before.high <= max(values) + 1e-12


def test_a_ratio_of_quantiles_is_paired() -> None:
    live = [float(value) for value in range(1, 101)]
    twice = quantile_ratio_interval(live, [2 * value for value in live], 0.95)
    assert (twice.estimate, twice.low, twice.high) == pytest.approx((2.0, 2.0, 2.0))  # shared noise cancels out
    with pytest.raises(ValueError, match=r"shorter|longer"):
        quantile_ratio_interval([1.0], [1.0, 2.0], 0.95)
