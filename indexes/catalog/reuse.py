"""What was made before from the same bytes or the same text, so that nothing is parsed or embedded twice (I5).

There is no cache to fill or to clean: texts and vectors are found where they are kept anyway, with the revisions and
index versions that hold them, and go when those go. Only a project's own are looked at.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import ChunkRow, Revision, RevisionState, Store
from indexes.catalog.versions import Version, kept
from indexes.manifest import EmbeddingSpec
from indexes.model import Chunk


@dataclass(frozen=True, slots=True)
class Twin:
    """Another chunk with the same text, and a version that may hold its vector."""

    chunk_id: str
    version: Version


async def parsed(session: AsyncSession, revision: Revision, parser: str) -> Revision | None:
    """A revision whose text was made from the same bytes, under the same name, by the same parser."""
    query = _others(revision).where(
        Revision.sha256 == revision.sha256,
        Revision.filename == revision.filename,  # a part of what decides how bytes are read
        Revision.parser == parser,
        Revision.text_blob.is_not(None),
    )
    return await session.scalar(query.limit(1))


async def embedded_beside(
    session: AsyncSession, revision: Revision, chunks: Collection[Chunk], version: Version
) -> dict[str, Twin]:
    """For those of the chunks whose text the same model may have embedded for another version of the store: where."""
    spec = version.manifest.embedding
    beside = {
        one.manifest.cut: one
        for one in reversed(await kept(session, revision.store_id))  # the live one last, for it lacks nothing
        if one.id != version.id and one.manifest.embedding == spec
    }
    query = select(ChunkRow.sha256, ChunkRow.id, ChunkRow.cut).where(
        ChunkRow.revision_id == revision.id, ChunkRow.cut.in_(beside), ChunkRow.sha256.in_(_digests(chunks))
    )
    return _by_chunk(chunks, {row.sha256: Twin(row.id, beside[row.cut]) for row in await session.execute(query)})


async def embedded_elsewhere(
    session: AsyncSession, revision: Revision, chunks: Collection[Chunk], spec: EmbeddingSpec
) -> dict[str, Twin]:
    """For those of the chunks whose text the same model embedded in another document: where, by chunk id."""
    query = (
        _others(revision)
        .with_only_columns(ChunkRow.sha256, func.min(ChunkRow.id), Revision.store_id, ChunkRow.cut)
        .join(ChunkRow, ChunkRow.revision_id == Revision.id)
        .where(ChunkRow.sha256.in_(_digests(chunks)), Revision.has_points)
        .group_by(ChunkRow.sha256, Revision.store_id, ChunkRow.cut)  # a footer may stand in every document
    )
    by_cut: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for digest, chunk_id, store_id, cut in await session.execute(query):
        by_cut[store_id, cut][digest] = chunk_id
    twins: dict[str, Twin] = {}
    for (store_id, cut), found in by_cut.items():
        for version in await kept(session, store_id):
            if version.manifest.embedding == spec and version.manifest.cut == cut:
                twins |= {digest: Twin(chunk_id, version) for digest, chunk_id in found.items()}
                break
    return _by_chunk(chunks, twins)


def _digests(chunks: Collection[Chunk]) -> set[str]:
    return {chunk.sha256 for chunk in chunks}


def _by_chunk(chunks: Collection[Chunk], twins: Mapping[str, Twin]) -> dict[str, Twin]:
    """What was found by hash, for each chunk: a text may stand in a document more than once."""
    return {chunk.id: twins[chunk.sha256] for chunk in chunks if chunk.sha256 in twins}


def _others(revision: Revision) -> Select[Revision]:
    """The other revisions of the same project that are not being deleted."""
    project = select(Store.project).where(Store.id == revision.store_id).scalar_subquery()
    return (
        select(Revision)
        .join(Store, Store.id == Revision.store_id)
        .where(
            Store.project == project,
            ~Store.deleting,
            Revision.id != revision.id,
            Revision.state != RevisionState.DELETED,
        )
    )
