"""The end of the work on a revision: it becomes the current one of its key, and hides the one before (I4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from indexes.catalog.revisions import STOPPED
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.catalog.work import Lease, lease_lost

_MINE = aliased(Revision)
_SAME_KEY = (
    Revision.store_id == select(_MINE.store_id).where(_MINE.id == bindparam("mine")).scalar_subquery(),
    Revision.key == select(_MINE.key).where(_MINE.id == bindparam("mine")).scalar_subquery(),
)
# On PostgreSQL two revisions of one key may end at once: they take turns, in the same order for both, and who waited
# looks again.
_KEY = select(Revision.id, Revision.seq).where(*_SAME_KEY).order_by(Revision.seq).with_for_update()
_AT_STAKE = (
    select(Revision)
    .where(
        *_SAME_KEY,
        or_(
            Revision.state.in_((RevisionState.PENDING, RevisionState.CURRENT, *STOPPED)),
            Revision.has_points,
            Revision.seq > bindparam("my_seq"),
        ),
    )
    .order_by(Revision.seq)
)


@dataclass(frozen=True, slots=True)
class Completed:
    """A revision that is current, or superseded where a newer one of its key is.

    `unseen` are the superseded revisions of the key that left points behind, perhaps itself among them. `has_history`
    says whether the key had any other revision.
    """

    revision: Revision
    unseen: Sequence[Revision]
    has_history: bool


async def complete(session: AsyncSession, lease: Lease) -> Completed | None:
    """End the work in this transaction. None, with nothing changed, where the points lack the newest attributes.

    Raises LeaseLost.
    """
    seqs = {row.id: row.seq for row in await session.execute(_KEY, {"mine": lease.revision_id})}
    asked = {"mine": lease.revision_id, "my_seq": seqs.get(lease.revision_id, 0)}
    rows = list(await session.scalars(_AT_STAKE, asked, execution_options={"populate_existing": True}))
    mine = next((row for row in rows if row.id == lease.revision_id and lease.holds(row)), None)
    if mine is None:
        raise lease_lost(lease)
    if not mine.attributes_synced:
        return None
    if any(row.seq > mine.seq and row.state in (RevisionState.CURRENT, RevisionState.SUPERSEDED) for row in rows):
        mine.state = RevisionState.SUPERSEDED
    else:
        await _supersede(session, [row for row in rows if row.seq < mine.seq])
        mine.state = RevisionState.CURRENT
    mine.stage, mine.lease_until, mine.lease_owner = Stage.VERIFIED, 0.0, None
    unseen = [row for row in rows if row.state == RevisionState.SUPERSEDED and row.has_points]
    return Completed(mine, unseen, has_history=len(seqs) > 1)


async def _supersede(session: AsyncSession, older: Sequence[Revision]) -> None:
    # What an older upload failed at no longer matters to anybody once a newer one is there.
    over = [row for row in older if row.state in (RevisionState.CURRENT, *STOPPED)]
    for row in over:
        row.state = RevisionState.SUPERSEDED
    if over:
        await session.flush()  # at no moment two are current
