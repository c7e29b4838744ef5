"""A store's history: who did what to which index version, when, why, and on which comparison."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.version_tables import EventKind, VersionEvent
from indexes.ids import Kind, new_id

PLATFORM = "citewell"
"""The actor of what nobody asked for: a build that is ready, a version past its retention."""


@dataclass(frozen=True, slots=True)
class Because:
    """Who wants something done, and why."""

    actor: str = PLATFORM
    reason: str | None = None


async def note(
    session: AsyncSession,
    store_id: str,
    version_id: str,
    kind: EventKind,
    because: Because,
    *,
    forced: bool = False,
    comparison_id: str | None = None,
) -> None:
    """Add a line, in the transaction that does what it tells."""
    session.add(
        VersionEvent(
            id=new_id(Kind.EVENT),
            store_id=store_id,
            version_id=version_id,
            kind=kind,
            actor=because.actor,
            reason=because.reason,
            forced=forced,
            comparison_id=comparison_id,
        )
    )


async def listing(session: AsyncSession, store_id: str, cursor: Cursor) -> Page[VersionEvent]:
    """A page of the history."""
    query = select(VersionEvent).where(VersionEvent.store_id == store_id)
    return await page(session, query, VersionEvent.seq, VersionEvent.id, cursor)
