"""Questions that were asked of stores, and how candidates did on live queries; the newest of each are kept."""

from collections.abc import Sequence

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import IndexVersion, Store
from indexes.catalog.version_tables import RecordedQuery, TrialRow

_MOST_TRIALS = 1_000
_NEWEST_RECALLS = 200


async def put(
    session: AsyncSession, queries: Sequence[RecordedQuery], trials: Sequence[TrialRow], most_queries: int
) -> None:
    """Add what was observed, as far as its store or version is still there, and forget the oldest."""
    stores = set(await session.scalars(select(Store.id).where(Store.id.in_({one.store_id for one in queries}))))
    session.add_all([one for one in queries if one.store_id in stores])
    known = select(IndexVersion.id).where(IndexVersion.id.in_({one.version_id for one in trials}))
    versions = set(await session.scalars(known))
    session.add_all([one for one in trials if one.version_id in versions])
    await session.flush()
    for store_id in stores:
        mine = select(RecordedQuery.seq).where(RecordedQuery.store_id == store_id)
        oldest = await session.scalar(mine.order_by(RecordedQuery.seq.desc()).offset(most_queries).limit(1))
        if oldest is not None:
            await session.execute(
                delete(RecordedQuery).where(RecordedQuery.store_id == store_id, RecordedQuery.seq <= oldest)
            )
    for version_id in versions:
        ours = select(TrialRow.seq).where(TrialRow.version_id == version_id)
        oldest = await session.scalar(ours.order_by(TrialRow.seq.desc()).offset(_MOST_TRIALS).limit(1))
        if oldest is not None:
            await session.execute(delete(TrialRow).where(TrialRow.version_id == version_id, TrialRow.seq <= oldest))


async def put_recalls(session: AsyncSession, recalls: Sequence[tuple[str, float]]) -> None:
    """Add recalls of approximate searches, each with its version's id, to the mean of the version's newest ones."""
    for version_id, recall in recalls:
        samples = IndexVersion.recall_samples
        weight = case((samples < _NEWEST_RECALLS, 1.0 / (samples + 1)), else_=1.0 / _NEWEST_RECALLS)
        await session.execute(
            update(IndexVersion)
            .where(IndexVersion.id == version_id)
            .values(recall_samples=samples + 1, recall=IndexVersion.recall + (recall - IndexVersion.recall) * weight)
        )


async def queries(session: AsyncSession, store_id: str, limit: int) -> list[str]:
    """The newest different questions, newest first."""
    mine = select(RecordedQuery.text).where(RecordedQuery.store_id == store_id).order_by(RecordedQuery.seq.desc())
    return list(dict.fromkeys(await session.scalars(mine)))[:limit]


async def trials(session: AsyncSession, version_id: str, baseline: str) -> list[TrialRow]:
    """What was seen of a version beside `baseline`, newest first."""
    mine = select(TrialRow).where(TrialRow.version_id == version_id, TrialRow.baseline == baseline)
    return list(await session.scalars(mine.order_by(TrialRow.seq.desc())))
