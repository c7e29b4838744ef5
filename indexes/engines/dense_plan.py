"""How one dense search is done: a pure function of what there is and of how much of it the filter leaves.

The figures are of `make bench-search` (README, "Dense search"): two cores with AVX-512, 384 dimensions.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, log10

EXACT_ROWS = 2_500
"""Fewer are compared one by one: 0.15 ms at most, wherever in memory they lie. 2,000 of 20,000 real vectors took no
longer so than by lists, which find less."""

SURPLUS_ROWS = 64
"""As many forbidden rows may be asked for in addition and thrown away: no mask over all rows is made for them."""

WALK_SHARE = 0.5
"""A walk on the graph passes through forbidden rows: below this share of allowed ones the lists compare fewer."""

DELTA_ROWS = 40_000
"""New rows that wait for a merge are compared one by one, 0.1 ms a thousand. Beyond, the engine within is faster."""

DEVICE_ROWS = 512
"""More are not asked of a device: FAISS selects 2,048 there, and four times as many are compared again in full."""


class Way(StrEnum):
    """What is done."""

    NOTHING = "nothing is allowed"
    INNER = "the engine within"
    EXACT = "exact"
    LISTS = "lists"
    GRAPH = "graph"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Effort:
    """What finds 10 and 100 neighbours with the recall that was aimed at, measured on the rows themselves."""

    ten: int
    hundred: int

    def of(self, neighbours: float) -> int:
        """For so many, by the power law through both."""
        exponent: float = log10(max(self.hundred, self.ten) / self.ten)
        effort: float = self.ten * (max(neighbours, 10) / 10) ** exponent
        return ceil(effort)


@dataclass(frozen=True, slots=True)
class Shape:
    """An index version: rows of the main part and of the delta; how the main part can be searched."""

    main: int
    delta: int
    lists: Effort | None = None
    graph: Effort | None = None
    device: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`fetch` rows of the main part are asked for, by `effort` lists or graph neighbours.

    `masked`: the search itself leaves out what is not allowed; otherwise its results are checked afterwards.
    """

    way: Way
    fetch: int = 0
    effort: int = 0
    masked: bool = False


def plan(shape: Shape, allowed: int, limit: int, *, exact: bool = False) -> Plan:
    """For the `limit` best of `allowed` rows. All counts are exact, so no estimate can mislead it."""
    if not allowed or not limit:
        return Plan(Way.NOTHING)
    if exact or not shape.main:
        return Plan(Way.EXACT, limit, masked=True) if exact or shape.delta <= DELTA_ROWS else Plan(Way.INNER)
    if shape.delta > DELTA_ROWS:
        return Plan(Way.INNER)
    forbidden = shape.main + shape.delta - allowed
    masked = forbidden > SURPLUS_ROWS
    fetch = min(shape.main, limit if masked else limit + forbidden)
    if shape.device and not masked and fetch <= DEVICE_ROWS:
        return Plan(Way.DEVICE, fetch)
    if allowed <= EXACT_ROWS or shape.lists is None:
        return Plan(Way.EXACT, limit, masked=True)
    share = allowed / (shape.main + shape.delta)
    if shape.graph and share >= WALK_SHARE:
        return Plan(Way.GRAPH, fetch, ceil(max(fetch, shape.graph.of(fetch)) / share), masked)
    # The best of a tenth of the rows lie among ten times as many of the best of all.
    return Plan(Way.LISTS, fetch, shape.lists.of(fetch / share if masked else fetch), masked)


def wants_graph(rows: int, lists: int, probes: int) -> bool:
    """Whether a walk compares fewer rows than opening `probes` of so many lists.

    A walk takes as long as 1.5 rows^(2/3) comparisons one after another: 0.04 ms at 10,000, 0.15 ms at
    100,000, 1 ms at a million. Vectors in clear clusters need few lists, those of real texts many.
    """
    walk: float = 1.5 * rows ** (2 / 3)
    return lists + probes * rows / lists > walk
