"""What a mean over a few queries says of all the queries there could be: the paired bootstrap.

Queries are drawn again with replacement, each with both its measurements, so that hard queries weigh on both versions
alike. Intervals are percentile intervals (Efron and Tibshirani 1993, chapter 13; for retrieval: Sakai 2006).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RESAMPLES = 4_000  # another seed then moves the ends of an interval by about 1 % of its width
_SEED = 20_100_411
_DRAWN_AT_ONCE = 1_000_000  # bounds the memory: 8 MB of indices


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate from `queries` measurements, the ends of its interval, and the share of resamples below 0.

    For a difference `below_zero` is the probability of a loss, to be read as a one-sided p-value.
    """

    queries: int
    estimate: float
    low: float
    high: float
    below_zero: float


def mean_interval(values: Sequence[float], confidence: float = 0.9) -> Interval:
    """The mean of `values`, one a query: differences of two versions, or a measure of one.

    A `confidence` of 0.9 leaves 5 % on either side. The same values give the same interval. One value says nothing of
    others: its interval is without ends. Raises ValueError where there is none.
    """
    return _interval(np.asarray(values, dtype=np.float64), lambda rows: np.asarray(rows.mean(axis=-1)), confidence)


def quantile_ratio_interval(
    live: Sequence[float], candidate: Sequence[float], quantile: float, confidence: float = 0.9
) -> Interval:
    """The ratio of a quantile of `candidate` to that of `live`, measurements above 0 of the same queries.

    Raises ValueError as `mean_interval`, and where the two are not of one length.
    """
    pairs = np.array(list(zip(live, candidate, strict=True)), dtype=np.float64)

    def ratio(rows: Floats) -> Floats:
        of_both = np.quantile(rows, quantile, axis=-2)
        return np.asarray(of_both[..., 1] / of_both[..., 0])

    return _interval(pairs, ratio, confidence)


def _interval(values: Floats, statistic: Callable[[Floats], Floats], confidence: float) -> Interval:
    """`statistic` takes resamples of shape (..., queries[, 2]) to one number each."""
    count = len(values)
    if not count:
        raise ValueError("No query was measured: there is nothing to estimate.")
    estimate = float(statistic(values))
    if count == 1:
        return Interval(1, estimate, -inf, inf, 0.5)
    resampled = np.concatenate([statistic(values[rows]) for rows in _draws(count)])
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(count, estimate, float(low), float(high), float(np.mean(resampled < 0)))


def _draws(count: int) -> Iterator[NDArray[np.int64]]:
    """Resamples as indices, shape (some, count). The same for every measure, so that a better value never lowers it."""
    generator = np.random.default_rng(_SEED)
    at_once = max(1, _DRAWN_AT_ONCE // count)
    for first in range(0, _RESAMPLES, at_once):
        yield generator.integers(count, size=(min(at_once, _RESAMPLES - first), count))
