"""Hits that do not say the same thing again. Pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from indexes.model import Vector


def mmr(
    order: Sequence[str], relevance: Mapping[str, float], vectors: Sequence[Vector], *, trade_off: float
) -> list[str]:
    """`order` again, by maximal marginal relevance: each next one is the most relevant that is least like those before.

    `relevance` is 0..1 by id, such as a fused score; `vectors` has a row of length 1 for each of `order`. A `trade_off`
    of 1 sorts by relevance alone, 0 by unlikeness alone. Equal ones stay in the order they came in. Takes
    len(order) ** 2 times the dimension: a page of hits, not a corpus. Source: Carbonell and Goldstein 1998.
    """
    relevant = np.array([relevance[one] for one in order])
    rows = np.array(vectors, dtype=np.float64)
    likeness = rows @ rows.T
    nearest = np.zeros(len(order))  # to any that was taken; unlikeness counts from there, opposites are not better
    left = np.ones(len(order), dtype=bool)
    taken: list[str] = []
    while left.any():
        worth = trade_off * relevant - (1 - trade_off) * nearest
        best = int(np.argmax(np.where(left, worth, -np.inf)))  # the first of equal ones
        taken.append(order[best])
        left[best] = False
        nearest = np.maximum(nearest, likeness[best])
    return taken


def capped(order: Sequence[str], documents: Mapping[str, str], *, most: int) -> list[str]:
    """Those of `order` that are among the first `most` of their document; `documents` names it by id."""
    seen: Counter[str] = Counter()
    kept = []
    for one in order:
        seen[documents[one]] += 1
        if seen[documents[one]] <= most:
            kept.append(one)
    return kept
