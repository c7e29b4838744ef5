"""One dense search of a snapshot: the plan carried out on the main part, the delta compared, the best of both."""

from collections.abc import Sequence

import numpy as np

from indexes.engines.dense_plan import Plan, Way, plan
from indexes.engines.faiss_rows import Selection, Snapshot
from indexes.engines.faiss_scan import Nearest, Numbers, products
from indexes.engines.points import chunk_ids, ranked
from indexes.filters import Filter
from indexes.model import Match, Matches, Vector


def search(
    now: Snapshot, query: Vector, limit: int, where: Filter | None, hidden: Sequence[str], *, exact: bool
) -> Matches | None:
    """As `Index.dense`, for a query of length 1; None where the engine within should be asked. Raises DeviceFailure."""
    selection = now.select(where, hidden)
    planned = plan(now.shape, selection.allowed, limit, exact=exact)
    if planned.way is Way.INNER:
        return None
    if planned.way is Way.NOTHING:
        return Matches([], planned.way.value)
    found = _main(now, query, planned, selection)
    if len(now.delta):
        found = _with_delta(now, query, found, selection.delta_rows if planned.masked else None)
    if not planned.masked and not selection.whole:
        held = selection.has(found.rows)
        found = Nearest(found.rows[held], found.scores[held])
    return Matches(_matches(now, found, limit), _how(now, planned, selection))


def _with_delta(now: Snapshot, query: Vector, main: Nearest, rows: Numbers | None) -> Nearest:
    """What was found in the main part, and these rows of the delta or all."""
    scores = products(now.delta, query, rows)
    rows = np.arange(len(now.delta)) if rows is None else rows
    return Nearest(np.concatenate([main.rows, rows + now.shape.main]), np.concatenate([main.scores, scores]))


def _main(now: Snapshot, query: Vector, planned: Plan, selection: Selection) -> Nearest:
    if now.part is None:
        return Nearest(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    match planned.way:
        case Way.GRAPH:
            bitmap = selection.bitmap if planned.masked else None
            return now.part.walk(query, planned.fetch, planned.effort, bitmap)
        case Way.DEVICE if now.device:
            return now.device.search(query, planned.fetch)
        case Way.LISTS:
            allowed = selection.listed if planned.masked else None
            return now.part.probe(query, planned.fetch, planned.effort, allowed)
        case _:
            return now.part.compare(query, planned.fetch, selection.main_rows)


def _matches(now: Snapshot, found: Nearest, limit: int) -> list[Match]:
    found = found.top(limit)
    chunks = chunk_ids(now.chunks[found.rows].tobytes())
    revisions = [now.revisions[group] for group in now.groups[found.rows].tolist()]
    return ranked(list(map(Match, chunks, revisions, found.scores.tolist())))


def _how(now: Snapshot, planned: Plan, selection: Selection) -> str:
    by = f"{planned.effort} {planned.way}" if planned.way is Way.LISTS else planned.way.value
    return by if selection.whole else f"{by}, {selection.allowed:,} of {len(now.groups):,} allowed"
