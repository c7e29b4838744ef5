"""Puts the chunks of a revision into an index version."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from indexes.catalog.database import Database
from indexes.catalog.tables import Revision
from indexes.catalog.versions import Version
from indexes.context import in_context
from indexes.errors import NotFound
from indexes.index import Engine, Index
from indexes.lexical import Analyser
from indexes.manifest import Manifest
from indexes.model import Attributes, Chunk, Point, SparseVector, Vector
from indexes.standing import opened
from ingestion.threads import to_its_end
from ingestion.vectors import VectorMaker

Terms = Callable[[Chunk], SparseVector]


@dataclass(frozen=True, slots=True)
class Filled:
    """Of the chunks that a version holds now: how many an earlier attempt had stored, and for how many others no text
    was embedded.
    """

    done: int
    found: int
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills for one process. A version holds a revision's chunks in `batch_chunks` at a time."""

    database: Database
    engine: Engine
    vectors: VectorMaker
    batch_chunks: int

    async def opened(self, version: Version) -> Index:
        """The version, made where nothing was ever written to it. Raises IndexDamaged where it is gone."""
        try:
            return await opened(self.database, self.engine, version)
        except NotFound:
            return await to_its_end(self.engine.create, version.id, version.manifest)

    async def fill(
        self,
        revision: Revision,
        version: Version,
        chunks: Sequence[Chunk],
        attributes: Attributes,
        noted: Callable[[Filled], Awaitable[None]],
    ) -> Filled:
        """Store what the version does not hold yet, all with `attributes`; `noted` hears of each batch but the last."""
        index = await self.opened(version)
        held = await asyncio.to_thread(index.chunk_ids, revision.id) if revision.has_points else set()
        if held:  # by an earlier attempt, and the attributes may have been changed since
            await to_its_end(index.set_attributes, revision.id, attributes)
        missing = [chunk for chunk in chunks if chunk.id not in held]
        terms = _terms(version.manifest)
        filled = Filled(len(held), len(held))
        for first in range(0, len(missing), self.batch_chunks):
            if first:
                await noted(filled)
            batch = missing[first : first + self.batch_chunks]
            made = await self.vectors.vectors(revision, batch, version)
            await to_its_end(_store, index, terms, batch, made.by_chunk, attributes)
            filled = Filled(filled.done + len(batch), filled.found, filled.reused + made.reused)
        return filled


def _terms(manifest: Manifest) -> Terms:
    analyser = Analyser(manifest.lexical)
    return lambda chunk: analyser.document(in_context(chunk, manifest.context))


def _store(
    index: Index, terms: Terms, chunks: Sequence[Chunk], vectors: Mapping[str, Vector], attributes: Attributes
) -> None:
    points = [Point(chunk.id, chunk.revision_id, vectors[chunk.id], terms(chunk), attributes) for chunk in chunks]
    index.upsert(points)
