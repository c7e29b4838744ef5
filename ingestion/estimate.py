"""When work will be done, from what was measured lately. Nothing measured, no estimate."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import progress
from indexes.catalog.progress import Line, Pace
from indexes.catalog.stores import Counts
from indexes.catalog.tables import Revision, RevisionState


def eta_s(line: Line | None, pace: Pace | None) -> float | None:
    """Seconds until the end of `line` at that pace. A file that is not cut yet counts as one of the usual length."""
    if line is None or pace is None or pace.chunks <= 0 or pace.elapsed_s <= 0:
        return None
    chunks = line.chunks + line.uncut_files * pace.chunks_per_file
    return round(chunks * pace.elapsed_s / pace.chunks, 1)


async def of_files(session: AsyncSession, store_id: str, rows: Sequence[Revision]) -> dict[int, float | None]:
    """By `seq`, for those revisions of one store that are in progress."""
    pending = [row.seq for row in rows if row.state == RevisionState.PENDING]
    if not pending:
        return {}
    pace = (await progress.paces(session, [store_id])).get(store_id)
    lines = await progress.lines(session, store_id, pending) if pace else {}
    return {seq: eta_s(lines.get(seq), pace) for seq in pending}


async def of_stores(session: AsyncSession, counts: Mapping[str, Counts]) -> dict[str, float | None]:
    """By id, for stores that have something in progress."""
    busy = {store_id: one.line for store_id, one in counts.items() if one.in_progress}
    paces = await progress.paces(session, busy) if busy else {}
    return {store_id: eta_s(line, paces.get(store_id)) for store_id, line in busy.items()}


async def of_batch(session: AsyncSession, store_id: str, counts: Counts) -> float | None:
    """For a batch with these counts: when the last of its files is done, with all that stands in line before it."""
    if counts.last_in_line is None:
        return None
    pace = (await progress.paces(session, [store_id])).get(store_id)
    lines = await progress.lines(session, store_id, [counts.last_in_line]) if pace else {}
    return eta_s(lines.get(counts.last_in_line), pace)
