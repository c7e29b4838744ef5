"""The chunks of revisions, one set for each rule of cutting (`Manifest.cut`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.database import batched
from indexes.catalog.tables import ChunkRow, Revision, RevisionState
from indexes.model import Chunk, Span

_CHUNKS = ChunkRow.metadata.tables[ChunkRow.__tablename__]
# Asked for every document: building a statement costs more than running it.
_INSERT = insert(_CHUNKS)
_REMOVE = delete(_CHUNKS).where(_CHUNKS.c.revision_id == bindparam("of_revision"), _CHUNKS.c.cut == bindparam("so_cut"))


async def of(session: AsyncSession, revision_id: str, cut: str) -> list[Chunk]:
    """The chunks of a revision in order; none where it was not cut by this rule yet."""
    query = select(ChunkRow).where(ChunkRow.revision_id == revision_id, ChunkRow.cut == cut)
    return [chunk_of(row) for row in await session.scalars(query.order_by(ChunkRow.ordinal))]


async def put(session: AsyncSession, revision_id: str, cut: str, chunks: Sequence[Chunk]) -> None:
    """Replace the chunks that the revision has by this rule."""
    await session.execute(_REMOVE, {"of_revision": revision_id, "so_cut": cut})
    if chunks:
        await session.execute(_INSERT, [row(chunk, cut) for chunk in chunks])


@dataclass(frozen=True, slots=True)
class Extent:
    """What readers see of a store: documents, their chunks by one rule, and the tokens in those."""

    files: int
    chunks: int
    tokens: int


async def extent(session: AsyncSession, store_id: str, cut: str) -> Extent:
    """How much a store holds."""
    current = (Revision.store_id == store_id, Revision.state == RevisionState.CURRENT)
    files = await session.scalar(select(func.count()).select_from(Revision).where(*current))
    cut_so = select(func.count(), func.sum(ChunkRow.tokens)).join(Revision, Revision.id == ChunkRow.revision_id)
    chunks, tokens = (await session.execute(cut_so.where(*current, ChunkRow.cut == cut))).one()
    return Extent(files or 0, chunks, int(tokens or 0))


async def sample(session: AsyncSession, store_id: str, cut: str, size: int) -> list[str]:
    """Texts of some chunks that readers see, as good as at random: in the order of their ids, which are hashes."""
    query = (
        select(ChunkRow.text)
        .join(Revision, Revision.id == ChunkRow.revision_id)
        .where(Revision.store_id == store_id, Revision.state == RevisionState.CURRENT, ChunkRow.cut == cut)
    )
    return list(await session.scalars(query.order_by(ChunkRow.id).limit(size)))


async def current(session: AsyncSession, store_id: str, chunk_ids: Collection[str]) -> set[str]:
    """Those of the chunks that readers see."""
    known: set[str] = set()
    for some in batched(list(chunk_ids)):
        query = select(ChunkRow.id).join(Revision, Revision.id == ChunkRow.revision_id).where(ChunkRow.id.in_(some))
        here = (Revision.store_id == store_id, Revision.state == RevisionState.CURRENT)
        known.update(await session.scalars(query.where(*here)))
    return known


async def forget_cut(session: AsyncSession, store_id: str, cut: str) -> None:
    """Forget what the revisions of a store have by a rule that none of its versions uses any more."""
    of_store = select(Revision.id).where(Revision.store_id == store_id)
    await session.execute(delete(ChunkRow).where(ChunkRow.revision_id.in_(of_store), ChunkRow.cut == cut))


def row(chunk: Chunk, cut: str) -> dict[str, object]:
    """The columns of a chunk."""
    span = chunk.span
    return {
        "id": chunk.id,
        "revision_id": chunk.revision_id,
        "cut": cut,
        "ordinal": span.ordinal,
        "start": span.start,
        "end": span.end,
        "tokens": span.tokens,
        "page_start": span.page_start,
        "page_end": span.page_end,
        "section": list(span.section),
        "sha256": chunk.sha256,
        "text": chunk.text,
        "orders": chunk.orders,
    }


def chunk_of(row) -> Chunk:  # type: ignore[no-untyped-def] # noqa: ANN001 - a row of ChunkRow's columns
    """The chunk that a row tells of."""
    span = Span(row.start, row.end, row.ordinal, row.tokens, row.page_start, row.page_end, tuple(row.section))
    return Chunk(row.id, row.revision_id, span, row.text, row.orders)
