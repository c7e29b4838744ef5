"""Reports of two versions side by side, and the golden sets that they are judged by."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.version_tables import Comparison, GoldenSetRow
from indexes.errors import NotFound
from indexes.ids import Kind, new_id


async def put(
    session: AsyncSession,
    store_id: str,
    baseline: str,
    candidate: str,
    *,
    golden_set_id: str | None,
    verdict: str,
    report: dict[str, Any],
) -> Comparison:
    """Keep a report."""
    row = Comparison(
        id=new_id(Kind.COMPARISON),
        store_id=store_id,
        baseline=baseline,
        candidate=candidate,
        golden_set_id=golden_set_id,
        verdict=verdict,
        report=report,
    )
    session.add(row)
    await session.flush()
    return row


async def get(session: AsyncSession, store_id: str, comparison_id: str) -> Comparison:
    """One report. Raises NotFound."""
    row = await session.scalar(
        select(Comparison).where(Comparison.id == comparison_id, Comparison.store_id == store_id)
    )
    if row is None:
        raise NotFound(f"There is no comparison '{comparison_id}' in this vector store.", param="comparison_id")
    return row


async def listing(session: AsyncSession, store_id: str, cursor: Cursor) -> Page[Comparison]:
    """A page of a store's comparisons. Their reports, which may be large, are not read."""
    query = select(Comparison).where(Comparison.store_id == store_id).options(defer(Comparison.report, raiseload=True))
    return await page(session, query, Comparison.seq, Comparison.id, cursor)


async def latest(session: AsyncSession, store_id: str, baseline: str, candidate: str) -> Comparison | None:
    """The newest report of these two, in this order."""
    query = select(Comparison).where(
        Comparison.store_id == store_id, Comparison.baseline == baseline, Comparison.candidate == candidate
    )
    return await session.scalar(query.order_by(Comparison.seq.desc()).limit(1))


async def put_golden(
    session: AsyncSession, store_id: str, name: str, *, sha256: str, queries: int, content: str
) -> GoldenSetRow:
    """Keep a golden set as the next version of its name; the same content as the newest changes nothing."""
    newest = await _newest(session, store_id, name)
    if newest is not None and newest.sha256 == sha256:
        return newest
    row = GoldenSetRow(
        id=new_id(Kind.GOLDEN_SET),
        store_id=store_id,
        name=name,
        number=newest.number + 1 if newest else 1,
        sha256=sha256,
        queries=queries,
        content=content,
    )
    session.add(row)
    await session.flush()
    return row


async def golden(session: AsyncSession, store_id: str, ident: str) -> GoldenSetRow:
    """A golden set by its id, or the newest of a name. Raises NotFound."""
    query = select(GoldenSetRow).where(GoldenSetRow.store_id == store_id, GoldenSetRow.id == ident)
    row = await session.scalar(query) or await _newest(session, store_id, ident)
    if row is None:
        raise NotFound(f"There is no golden set '{ident}' in this vector store.", param="golden_set")
    return row


async def newest_golden(session: AsyncSession, store_id: str) -> GoldenSetRow | None:
    """The golden set that was changed last, of whatever name."""
    query = select(GoldenSetRow).where(GoldenSetRow.store_id == store_id)
    return await session.scalar(query.order_by(GoldenSetRow.seq.desc()).limit(1))


async def golden_listing(session: AsyncSession, store_id: str, cursor: Cursor) -> Page[GoldenSetRow]:
    """A page of the newest version of each golden set."""
    newest = select(func.max(GoldenSetRow.seq)).where(GoldenSetRow.store_id == store_id).group_by(GoldenSetRow.name)
    query = select(GoldenSetRow).where(GoldenSetRow.seq.in_(newest))
    return await page(session, query, GoldenSetRow.seq, GoldenSetRow.id, cursor)


async def _newest(session: AsyncSession, store_id: str, name: str) -> GoldenSetRow | None:
    query = select(GoldenSetRow).where(GoldenSetRow.store_id == store_id, GoldenSetRow.name == name)
    return await session.scalar(query.order_by(GoldenSetRow.number.desc()).limit(1))
