"""How a dense search is planned."""

import pytest

from indexes.engines.dense_plan import DELTA_ROWS, DEVICE_ROWS, EXACT_ROWS, Effort, Plan, Shape, Way, plan, wants_graph

LISTS, GRAPH = Effort(10, 100), Effort(32, 128)
CLUSTERED = Shape(100_000, 1_000, LISTS)
REAL = Shape(100_000, 1_000, LISTS, GRAPH)
DEVICE = Shape(100_000, 1_000, LISTS, GRAPH, device=True)
ALL = 101_000


@pytest.mark.parametrize(
    ("shape", "allowed", "expected"),
    [
        (REAL, 0, Plan(Way.NOTHING)),
        (Shape(0, 500), 500, Plan(Way.EXACT, 10, masked=True)),
        (Shape(0, DELTA_ROWS + 1), 500, Plan(Way.INNER)),
        (Shape(100_000, DELTA_ROWS + 1, LISTS), 500, Plan(Way.INNER)),
        (REAL, 1, Plan(Way.EXACT, 10, masked=True)),
        (REAL, EXACT_ROWS, Plan(Way.EXACT, 10, masked=True)),
        (REAL, 10_100, Plan(Way.LISTS, 10, 100, masked=True)),
        (REAL, 50_000, Plan(Way.LISTS, 10, 21, masked=True)),
        (REAL, 50_500, Plan(Way.GRAPH, 10, 64, masked=True)),
        (REAL, ALL, Plan(Way.GRAPH, 10, 32)),
        (CLUSTERED, ALL - 50, Plan(Way.LISTS, 60, 60)),
        (CLUSTERED, ALL - 5_000, Plan(Way.LISTS, 10, 11, masked=True)),
        (DEVICE, ALL, Plan(Way.DEVICE, 10)),
        (DEVICE, ALL - 50, Plan(Way.DEVICE, 60)),
        (DEVICE, 50_000, Plan(Way.LISTS, 10, 21, masked=True)),
    ],
)
def test_the_plan_by_size_and_by_what_the_filter_leaves(shape, allowed, expected):
    assert plan(shape, allowed, 10) == expected


def test_more_rows_than_a_device_selects_are_asked_of_the_cpu():
    assert plan(DEVICE, ALL, DEVICE_ROWS).way is Way.DEVICE
    assert plan(DEVICE, ALL, DEVICE_ROWS + 1).way is Way.GRAPH


def test_an_exact_search_compares_everything_that_is_allowed():
    for shape in (REAL, DEVICE, Shape(0, 1_000_000)):
        assert plan(shape, 1_000, 10, exact=True) == Plan(Way.EXACT, 10, masked=True)


def test_effort_grows_by_the_power_law_through_what_was_measured():
    assert [LISTS.of(count) for count in (1, 10, 100, 1000)] == [10, 10, 100, 1000]
    assert [Effort(7, 7).of(count) for count in (10, 10_000)] == [7, 7]


@pytest.mark.parametrize(
    ("rows", "lists", "probes", "expected"),
    [(10_000, 400, 4, False), (10_364, 407, 44, True), (100_000, 1_264, 7, False), (1_000_000, 4_000, 16, False)],
)
def test_only_vectors_without_clear_clusters_are_worth_a_graph(rows, lists, probes, expected):
    assert wants_graph(rows, lists, probes) is expected
