"""A home directory of the service, filled in this process by the platform's own classes, without HTTP and queue."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import insert

from indexes import ids
from indexes.catalog import keys, schema
from indexes.catalog.chunks import row
from indexes.catalog.database import Database, open_database
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Stage, Store, VersionState
from indexes.context import in_context
from indexes.embedders.models import Models
from indexes.engines.qdrant_edge import QdrantEdgeEngine, QdrantEdgeIndex
from indexes.engines.settings import QdrantEdgeEngineSettings
from indexes.lexical import Analyser
from indexes.manifest import Manifest
from indexes.model import Chunk, Match, Point, Span, Vector
from indexes.settings import CatalogSettings, EmbeddingSettings
from ingestion.defaults import default_manifest

PROJECT, STORE, VERSION = keys.DEFAULT_PROJECT, "vs_bench", "ixv_bench"
_REVISION = "rev_"
_AT_ONCE = 1_000  # documents stored together


@dataclass(frozen=True, slots=True)
class Document:
    """One document, cut and embedded: `vectors` has a row of length 1 for each span of `text`, in its context."""

    key: str
    text: str
    spans: list[Span]
    vectors: Vector


@dataclass(frozen=True, slots=True)
class Home:
    """An open home with one store, `STORE`, as the default settings make it."""

    folder: Path
    database: Database
    engine: QdrantEdgeEngine
    models: Models
    manifest: Manifest

    @classmethod
    @asynccontextmanager
    async def open(cls, embedding: EmbeddingSettings | None = None, language: str = "english") -> "AsyncIterator[Home]":
        """A new home, gone after the block. The embedding model is loaded when it is first used."""
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as scratch:
            folder = Path(scratch)
            database = open_database(CatalogSettings(), folder)
            await schema.upgrade(database)
            engine = QdrantEdgeEngine(QdrantEdgeEngineSettings(), folder / "vectors")
            models = Models(embedding or EmbeddingSettings(), folder / "models")
            manifest = await default_manifest(models)
            manifest = replace(manifest, lexical=replace(manifest.lexical, language=language))
            home = cls(folder, database, engine, models, manifest)
            await home._make_store()
            try:
                yield home
            finally:
                await models.close()
                await asyncio.to_thread(engine.close)
                await database.close()

    @property
    def index(self) -> QdrantEdgeIndex:
        """The store's one index version."""
        return self.engine.create(VERSION, self.manifest)

    async def put(self, documents: Iterable[Document]) -> None:
        """Store documents as completed ingestion leaves them, and wait for the graph if they are enough for one."""
        batch: list[Document] = []
        for document in documents:
            batch.append(document)
            if len(batch) == _AT_ONCE:
                await self._put(batch)
                batch = []
        if batch:
            await self._put(batch)
        await asyncio.to_thread(self._await_graph)

    def _await_graph(self) -> None:
        while self.index.version.due():
            time.sleep(0.2)

    async def _put(self, documents: list[Document]) -> None:
        analyser, context = Analyser(self.manifest.lexical), self.manifest.context
        chunks = {document.key: self._chunks(document) for document in documents}
        points = [
            Point(chunk.id, chunk.revision_id, vector, analyser.document(in_context(chunk, context)), {})
            for document in documents
            for chunk, vector in zip(chunks[document.key], document.vectors, strict=True)
        ]
        await asyncio.to_thread(self.index.upsert, points)
        async with self.database.write() as session:
            await session.execute(insert(Revision), [_revision(document) for document in documents])
            await session.execute(
                insert(ChunkRow), [row(chunk, self.manifest.cut) for of in chunks.values() for chunk in of]
            )

    def _chunks(self, document: Document) -> list[Chunk]:
        revision, text = _REVISION + document.key, document.text
        return [
            Chunk(ids.chunk_id(revision, self.manifest.cut, span.ordinal), revision, span, text[span.start : span.end])
            for span in document.spans
        ]

    async def _make_store(self) -> None:
        store = Store(id=STORE, project=PROJECT, name="bench", live_version=VERSION, meta={})
        version = IndexVersion(
            id=VERSION,
            store_id=STORE,
            state=VersionState.LIVE,
            manifest=self.manifest.to_json(),
            manifest_hash=self.manifest.hash,
        )
        async with self.database.write() as session:
            session.add(store)
            await session.flush()
            session.add(version)


def document_of(match: Match) -> str:
    """The key of the document that a match lies in."""
    return match.revision_id.removeprefix(_REVISION)


def _revision(document: Document) -> dict[str, object]:
    return {
        "id": _REVISION + document.key,
        "store_id": STORE,
        "file_id": f"file-{document.key}",
        "sha256": "",
        "filename": document.key,
        "key": document.key,
        "state": RevisionState.CURRENT,
        "stage": Stage.VERIFIED,
        "chunks_total": len(document.spans),
        "has_points": True,
    }
