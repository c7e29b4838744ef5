"""The vectors of chunks: had again where the same model embedded the same text before, made where not."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexes.catalog import reuse
from indexes.catalog.database import Database
from indexes.catalog.tables import Revision
from indexes.catalog.versions import Version
from indexes.context import in_context
from indexes.embedders.models import Models
from indexes.errors import IndexDamaged, NotFound
from indexes.index import Engine
from indexes.model import Chunk, Vector


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """Vectors by chunk id; `reused` of them were not made anew."""

    by_chunk: dict[str, Vector]
    reused: int


class VectorMaker:
    """Makes vectors for one process."""

    def __init__(self, database: Database, engine: Engine, models: Models) -> None:
        self._database = database
        self._engine = engine
        self._models = models

    async def vectors(self, revision: Revision, chunks: Sequence[Chunk], version: Version) -> ChunkVectors:
        """One vector for each chunk, as `version` wants them."""
        manifest = version.manifest
        async with self._database.read() as session:
            twins = await reuse.embedded_beside(session, revision, chunks, version)
        found = await asyncio.to_thread(self._stored, twins)
        missing = [chunk for chunk in chunks if chunk.id not in found]
        if missing:
            async with self._database.read() as session:
                twins = await reuse.embedded_elsewhere(session, revision, missing, manifest)
            found |= await asyncio.to_thread(self._stored, twins)
            missing = [chunk for chunk in missing if chunk.id not in found]
        if missing:
            embedder = await self._models.embedder(manifest.embedding)
            made = await embedder.documents([in_context(chunk, manifest.context) for chunk in missing])
            found |= {chunk.id: vector for chunk, vector in zip(missing, made, strict=True)}
        return ChunkVectors(found, reused=len(chunks) - len(missing))

    def _stored(self, twins: Mapping[str, reuse.Twin]) -> dict[str, Vector]:
        """What the indexes still hold of them, by the id of the chunk that wants it."""
        by_version: dict[str, list[tuple[str, reuse.Twin]]] = defaultdict(list)
        for chunk_id, twin in twins.items():
            by_version[twin.version.id].append((chunk_id, twin))
        found: dict[str, Vector] = {}
        for pairs in by_version.values():
            version = pairs[0][1].version
            try:
                index = self._engine.open(version.id, version.manifest)
                stored = index.vectors([twin.chunk_id for _, twin in pairs])
            except (NotFound, IndexDamaged):
                continue
            found |= {chunk_id: stored[twin.chunk_id] for chunk_id, twin in pairs if twin.chunk_id in stored}
        return found
