"""What a search may see, asked of the catalog at its start and again at its end (I4, I9)."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import snapshots
from indexes.catalog.database import batched
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Store
from indexes.catalog.versions import Version, opened_as, read_manifest, searchable
from indexes.errors import NotFound
from indexes.model import Attributes, Chunk, Span

_GONE = (RevisionState.SUPERSEDED, RevisionState.DELETED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that takes part in live traffic, with its shares of it, 0..1."""

    version: Version
    shadow_share: float
    canary_share: float


@dataclass(frozen=True, slots=True)
class View:
    """The version that answers for a store, and the revisions with points in it that nobody may see.

    `arriving` are those of them that are still being worked on.
    """

    store_id: str
    version: Version
    hidden: tuple[str, ...]
    arriving: tuple[str, ...]
    last_active_at: float
    candidates: tuple[Candidate, ...] = ()
    snapshot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Visible:
    """A chunk as it stands now, of a revision that is current now."""

    chunk: Chunk
    file_id: str
    filename: str
    key: str
    attributes: Attributes


async def view(
    session: AsyncSession, project: str, store_id: str, version_id: str | None = None, snapshot: str | None = None
) -> View:
    """Where to search: in the live version or the one named, now or at the point in time of a snapshot.

    Raises NotFound for what there is not, also for another project's store, and Conflict for a version that is not
    whole.
    """
    taking_part = (IndexVersion.shadow_share > 0) | (IndexVersion.canary_share > 0)
    wanted = (
        select(
            IndexVersion.id,
            IndexVersion.manifest,
            IndexVersion.shadow_share,
            IndexVersion.canary_share,
            Store.live_version,
            Store.last_active_at,
        )
        .join(Store, Store.id == IndexVersion.store_id)
        .where(Store.id == store_id, Store.project == project, ~Store.deleting)
        .where((IndexVersion.id == Store.live_version) | taking_part)
    )
    rows = list(await session.execute(wanted.order_by(IndexVersion.seq)))
    live = next((row for row in rows if row.id == row.live_version), None)
    if live is None:
        raise NotFound(
            f"There is no vector store '{store_id}'. List yours with GET /v1/vector_stores.", param="vector_store_id"
        )
    version = Version(live.id, read_manifest(live.manifest))
    if version_id is not None:
        version = opened_as(await searchable(session, store_id, version_id))
    candidates = tuple(
        Candidate(Version(row.id, read_manifest(row.manifest)), row.shadow_share, row.canary_share)
        for row in rows
        if row.id != live.id
    )
    snapshot_id = None if snapshot is None else (await snapshots.get(session, store_id, snapshot)).id
    unseen = select(Revision.id, Revision.state).where(
        Revision.store_id == store_id, Revision.has_points, ~_readable(snapshot_id)
    )
    hidden = list(await session.execute(unseen))
    return View(
        store_id=store_id,
        version=version,
        hidden=tuple(row.id for row in hidden),
        arriving=tuple(row.id for row in hidden if row.state not in _GONE),
        last_active_at=live.last_active_at,
        candidates=candidates,
        snapshot_id=snapshot_id,
    )


async def visible(
    session: AsyncSession, store_id: str, chunk_ids: Collection[str], snapshot_id: str | None = None
) -> dict[str, Visible]:
    """Those of the chunks that readers may see in this store, now or in a snapshot, by chunk id."""
    query = (
        select(ChunkRow.__table__, Revision.file_id, Revision.filename, Revision.key, Revision.attributes)
        .join(Revision, Revision.id == ChunkRow.revision_id)
        .where(ChunkRow.id.in_(chunk_ids), Revision.store_id == store_id, _readable(snapshot_id))
    )
    return {
        row.id: Visible(
            Chunk(row.id, row.revision_id, _span(row), row.text), row.file_id, row.filename, row.key, row.attributes
        )
        for row in await session.execute(query)
    }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around hits in one revision: chunks in the order of the text, and the blob that has it."""

    chunks: tuple[Chunk, ...]
    text_blob: str


async def around(
    session: AsyncSession,
    store_id: str,
    cut: str,
    chunks: Collection[Chunk],
    reach: int,
    snapshot_id: str | None = None,
) -> dict[str, Surroundings]:
    """The chunks up to `reach` before and after each of `chunks`, and those themselves, by revision.

    All are of the rule `cut` and of revisions that readers may see in this store, now or in a snapshot.
    """
    close = [
        (ChunkRow.revision_id == chunk.revision_id)
        & ChunkRow.ordinal.between(chunk.span.ordinal - reach, chunk.span.ordinal + reach)
        for chunk in chunks
    ]
    query = (
        select(ChunkRow.__table__, Revision.text_blob)
        .join(Revision, Revision.id == ChunkRow.revision_id)
        .where(ChunkRow.cut == cut, or_(false(), *close), Revision.store_id == store_id, _readable(snapshot_id))
        .where(Revision.text_blob.is_not(None))
        .order_by(ChunkRow.revision_id, ChunkRow.ordinal)
    )
    found: dict[str, Surroundings] = {}
    for revision_id, of in groupby(await session.execute(query), key=lambda row: row.revision_id):
        rows = list(of)
        found[revision_id] = Surroundings(
            tuple(Chunk(row.id, revision_id, _span(row), row.text) for row in rows), rows[0].text_blob
        )
    return found


async def any_came(session: AsyncSession, view: View) -> bool:
    """Whether a revision that was hidden when a search began is to be seen now, or was so meanwhile."""
    came_and_went = Revision.id.in_(view.arriving) & (Revision.state == RevisionState.SUPERSEDED)
    for ids in batched(view.hidden):
        query = select(Revision.id).where(Revision.id.in_(ids), _readable(view.snapshot_id) | came_and_went)
        if await session.scalar(query.limit(1)) is not None:
            return True
    return False


def _readable(snapshot_id: str | None) -> ColumnElement[bool]:
    """Whether the revision of this row is to be seen."""
    if snapshot_id is None:
        return Revision.state == RevisionState.CURRENT
    kept = Revision.state.in_((RevisionState.CURRENT, RevisionState.SUPERSEDED))
    return kept & snapshots.names(snapshot_id)


def _span(row) -> Span:  # type: ignore[no-untyped-def] # noqa: ANN001 - a row of ChunkRow's columns
    return Span(row.start, row.end, row.ordinal, row.tokens, row.page_start, row.page_end, tuple(row.section))
