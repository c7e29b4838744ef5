"""What a search may see, asked of the catalog at its start and again at its end (I4, I9)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.database import batched
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Store
from indexes.catalog.versions import Version, read_manifest
from indexes.errors import NotFound
from indexes.model import Attributes, Chunk, Span


@dataclass(frozen=True, slots=True)
class View:
    """The version that answers for a store, and the revisions with points in it that nobody may see."""

    store_id: str
    version: Version
    hidden: tuple[str, ...]
    last_active_at: float


@dataclass(frozen=True, slots=True)
class Visible:
    """A chunk as it stands now, of a revision that is current now."""

    chunk: Chunk
    file_id: str
    filename: str
    key: str
    attributes: Attributes


async def view(session: AsyncSession, project: str, store_id: str) -> View:
    """Where to search. Raises NotFound, also for another project's store."""
    live = select(IndexVersion.id, IndexVersion.manifest, Store.last_active_at).join(
        Store, Store.live_version == IndexVersion.id
    )
    row = (
        await session.execute(live.where(Store.id == store_id, Store.project == project, ~Store.deleting))
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"There is no vector store '{store_id}'. List yours with GET /v1/vector_stores.", param="vector_store_id"
        )
    hidden = select(Revision.id).where(
        Revision.store_id == store_id, Revision.has_points, Revision.state != RevisionState.CURRENT
    )
    version = Version(row.id, read_manifest(row.manifest))
    return View(store_id, version, tuple(await session.scalars(hidden)), row.last_active_at)


async def visible(session: AsyncSession, store_id: str, chunk_ids: Collection[str]) -> dict[str, Visible]:
    """Those of the chunks whose revision is current in this store, by chunk id."""
    query = (
        select(ChunkRow.__table__, Revision.file_id, Revision.filename, Revision.key, Revision.attributes)
        .join(Revision, Revision.id == ChunkRow.revision_id)
        .where(ChunkRow.id.in_(chunk_ids), Revision.store_id == store_id, Revision.state == RevisionState.CURRENT)
    )
    return {
        row.id: Visible(
            Chunk(row.id, row.revision_id, _span(row), row.text), row.file_id, row.filename, row.key, row.attributes
        )
        for row in await session.execute(query)
    }


def _span(row) -> Span:  # type: ignore[no-untyped-def] # noqa: ANN001 - a row of ChunkRow's columns
    return Span(row.start, row.end, row.ordinal, row.tokens, row.page_start, row.page_end, tuple(row.section))


async def any_visible(session: AsyncSession, revision_ids: Sequence[str]) -> bool:
    """Whether one of the revisions, which were hidden when a search began, is current now."""
    for ids in batched(revision_ids):
        query = select(Revision.id).where(Revision.id.in_(ids), Revision.state == RevisionState.CURRENT)
        if await session.scalar(query.limit(1)) is not None:
            return True
    return False
