"""What follows from the turns that rivals took: who is faster at equal recall, and how costs grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from bench.ann_child import RECALL, Measured

OURS = "citewell "
EQUAL = 0.01
"""Recall within so much is equal, of 300 questions: a peer counts that finds as much, or what all of them aim at."""

COMPARED_COLUMNS = ("", "filter", "ours", "recall", "p50 ms", "peer", "recall", "p50 ms", "ours / peer")
GROWTH_COLUMNS = ("", "p50", "build", "memory", "disk")

Turns = dict[str, list[Measured]]
"""By rival, in the order of the rounds."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one rival with so many rows."""

    rows: int
    p50_ms: float
    build_s: float
    memory_mib: float
    disk_mib: float


def compared(name: str, share: float, turns: Turns) -> Iterable[list[object]]:
    """One row of `COMPARED_COLUMNS`, none where there is nobody to compare with."""
    taken = {rival: turn for rival, turn in turns.items() if turn}
    ours = _fastest([rival for rival in taken if rival.startswith(OURS)], taken)
    if ours is None:
        return
    enough = min(RECALL, taken[ours][0].recall - EQUAL)
    peers = [rival for rival, turn in taken.items() if not rival.startswith(OURS) and turn[0].recall >= enough]
    if peer := _fastest(peers, taken):
        pairs = zip(taken[ours], taken[peer], strict=True)
        ratio = float(np.median([one.p50_ms / other.p50_ms for one, other in pairs]))
        yield [name, f"{share:.1%}", *_facts(ours, taken[ours]), *_facts(peer, taken[peer]), ratio]


def growth(costs: Sequence[dict[str, Costs]]) -> list[list[object]]:
    """Rows of `GROWTH_COLUMNS`: 1 grows as the rows do, 0 not at all. For rivals that were there at every size."""
    table: list[list[object]] = []
    for name in costs[0] if len(costs) > 1 else ():
        measured = [cost[name] for cost in costs if name in cost]
        if len(measured) == len(costs):
            kinds = [field.name for field in fields(Costs)[1:]]
            table.append([name, *(_slope([(one.rows, getattr(one, kind)) for one in measured]) for kind in kinds)])
    return table


def _fastest(names: Sequence[str], turns: Turns) -> str | None:
    return min(names, key=lambda rival: _p50_ms(turns[rival]), default=None)


def _facts(name: str, turns: Sequence[Measured]) -> tuple[str, float, float]:
    return name, turns[0].recall, _p50_ms(turns)


def _p50_ms(turns: Sequence[Measured]) -> float:
    return float(np.median([turn.p50_ms for turn in turns]))


def _slope(points: Sequence[tuple[int, float]]) -> float:
    sizes, costs = np.log(np.maximum(np.array(points, dtype=float), 1e-3)).T
    return float(np.polyfit(sizes, costs, 1)[0])
