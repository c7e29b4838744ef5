"""What was made before from the same bytes or the same text, so that nothing is parsed or embedded twice (I5).

There is no cache to fill or to clean: texts and vectors are found where they are kept anyway, with the revisions and
index versions that hold them, and go when those go. Only a project's own are looked at.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import ChunkRow, Revision, RevisionState, Store
from indexes.catalog.versions import Version, kept
from indexes.manifest import Manifest
from indexes.model import Chunk

_SECTION = cast(ChunkRow.section, Text)  # as the catalog wrote it, which is the same for the same section

Key = tuple[str, str]
"""What was embedded of a chunk: the hash of its text, and its section where the model is given that too."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Another chunk of which the same was embedded, and a version that may hold its vector."""

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
    """For those of the chunks that the same model may have embedded for another version of the store: where."""
    wanted = _keys(chunks, version.manifest)
    beside = {
        one.manifest.cut: one
        for one in reversed(await kept(session, revision.store_id))  # the live one last, for it lacks nothing
        if one.id != version.id and _alike(one.manifest, version.manifest)
    }
    query = select(ChunkRow.sha256, _SECTION.label("section"), ChunkRow.id, ChunkRow.cut).where(
        ChunkRow.revision_id == revision.id, ChunkRow.cut.in_(beside), ChunkRow.sha256.in_(_digests(wanted))
    )
    twins = {
        _key(row.sha256, row.section, version.manifest): Twin(row.id, beside[row.cut])
        for row in await session.execute(query)
    }
    return _by_chunk(wanted, twins)


async def embedded_elsewhere(
    session: AsyncSession, revision: Revision, chunks: Collection[Chunk], manifest: Manifest
) -> dict[str, Twin]:
    """For those of the chunks that the same model embedded in another document: where, by chunk id."""
    wanted = _keys(chunks, manifest)
    query = (
        _others(revision)
        .with_only_columns(
            ChunkRow.sha256, func.min(_SECTION).label("section"), func.min(ChunkRow.id), Revision.store_id, ChunkRow.cut
        )
        .join(ChunkRow, ChunkRow.revision_id == Revision.id)
        .where(ChunkRow.sha256.in_(_digests(wanted)), Revision.has_points)
        .group_by(ChunkRow.sha256, Revision.store_id, ChunkRow.cut)  # a footer may stand in every document
    )
    if manifest.context:
        query = query.where(_SECTION.in_({section for _, section in wanted.values()})).group_by(_SECTION)
    by_cut: dict[tuple[str, str], dict[Key, str]] = defaultdict(dict)
    for digest, section, chunk_id, store_id, cut in await session.execute(query):
        by_cut[store_id, cut][_key(digest, section, manifest)] = chunk_id
    twins: dict[Key, Twin] = {}
    for (store_id, cut), found in by_cut.items():
        for version in await kept(session, store_id):
            if _alike(version.manifest, manifest) and version.manifest.cut == cut:
                twins |= {key: Twin(chunk_id, version) for key, chunk_id in found.items()}
                break
    return _by_chunk(wanted, twins)


def _alike(one: Manifest, other: Manifest) -> bool:
    """Whether both make the same vector of the same chunk."""
    return one.embedding == other.embedding and one.context == other.context


def _keys(chunks: Collection[Chunk], manifest: Manifest) -> dict[str, Key]:
    """By chunk id."""
    sections = {chunk.id: orjson.dumps(chunk.span.section).decode() for chunk in chunks}
    return {chunk.id: _key(chunk.sha256, sections[chunk.id], manifest) for chunk in chunks}


def _key(digest: str, section: str, manifest: Manifest) -> Key:
    return digest, section if manifest.context else ""


def _digests(wanted: Mapping[str, Key]) -> set[str]:
    return {digest for digest, _ in wanted.values()}


def _by_chunk(wanted: Mapping[str, Key], twins: Mapping[Key, Twin]) -> dict[str, Twin]:
    """What was found by key, for each chunk: a text may stand in a document more than once."""
    return {chunk_id: twins[key] for chunk_id, key in wanted.items() if key in twins}


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
