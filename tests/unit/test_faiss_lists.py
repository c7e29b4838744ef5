"""Inverted lists: which are nearest to a query, and how many are opened where a filter forbids rows."""

import numpy as np
import pytest

from indexes.engines.faiss_centroids import Centroids
from indexes.engines.faiss_lists import Lists
from indexes.engines.faiss_scan import unit

DIMENSION = 16


def rows(count, seed=1):
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)))


@pytest.mark.parametrize(("count", "wanted"), [(100, 5), (3_000, 5), (3_000, 20), (3_000, 500)])
def test_the_nearest_of_few_and_of_many(count, wanted):
    centroids = Centroids(rows(count))
    shares = []
    for query in rows(50, seed=2):
        found = centroids.nearest(query, wanted)
        exact = np.argsort(-(centroids.vectors @ query))[:wanted]
        assert len(set(found.tolist())) == wanted
        shares.append(np.isin(exact, found).mean())
    assert np.mean(shares) >= (0.97 if count > 100 else 1)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.001, 0.0])
def test_lists_are_opened_until_enough_allowed_rows_are_found(share):
    vectors, random = rows(3_000), np.random.default_rng(3)
    lists = Lists(Centroids(rows(200)), Centroids(rows(200)).nearest_to_each(vectors))
    mask = random.random(3_000) < share
    allowed = lists.only(mask)
    assert sorted(allowed.rows) == np.flatnonzero(mask).tolist()
    for query in rows(20, seed=4):
        found = lists.candidates(query, 3, allowed, 40)
        assert mask[found].all()
        assert len(set(found.tolist())) == len(found) >= min(40, np.count_nonzero(mask))
        opened = set(lists.homes[found].tolist())
        assert share < 0.5 or len(opened) < 50  # of 200
