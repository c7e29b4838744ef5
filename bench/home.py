"""A home directory of the service, filled in this process by the platform's own classes, without HTTP and queue."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from indexes import ids
from indexes.catalog import keys, schema
from indexes.catalog.database import Database, open_database
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Stage, Store, VersionState
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
_DONE = "complete"


@dataclass(frozen=True, slots=True)
class Document:
    """One document, cut and embedded: `vectors` has a row of length 1 for each span of `text`."""

    key: str
    text: str
    spans: Sequence[Span]
    vectors: Vector


@dataclass(frozen=True, slots=True)
class Home:
    """One open home with one store, `STORE`, as the default settings make it."""

    database: Database
    engine: QdrantEdgeEngine
    models: Models
    manifest: Manifest

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> "AsyncIterator[Home]":
        """Open the home in `folder`, made if it is not there. The embedding model is loaded when it is first used."""
        engine = QdrantEdgeEngine(QdrantEdgeEngineSettings(), folder / "vectors")  # makes the folder too
        database = open_database(CatalogSettings(), folder)
        await schema.upgrade(database)
        models = Models(EmbeddingSettings(), folder / "models")
        try:
            yield cls(database, engine, models, await default_manifest(models))
        finally:
            await models.close()
            await asyncio.to_thread(engine.close)
            await database.close()

    @property
    def index(self) -> QdrantEdgeIndex:
        """The store's one index version."""
        return self.engine.create(VERSION, self.manifest)

    async def put(self, documents: Sequence[Document]) -> None:
        """Store documents as completed ingestion leaves them."""
        analyser = Analyser(self.manifest.lexical)
        chunks = {document.key: self._chunks(document) for document in documents}
        points = [
            Point(chunk.id, chunk.revision_id, vector, analyser.document(chunk.text), {})
            for document in documents
            for chunk, vector in zip(chunks[document.key], document.vectors, strict=True)
        ]
        await asyncio.to_thread(self.index.upsert, points)
        async with self.database.write() as session:
            await session.execute(insert(Revision), [_revision(document) for document in documents])
            await session.execute(insert(ChunkRow), [_row(chunk) for of in chunks.values() for chunk in of])

    def await_graph(self) -> None:
        """Wait until the graph is built, if the store has grown enough for one."""
        while self.index.version.due():
            time.sleep(0.2)

    async def make_store(self) -> None:
        """The row of the store, and of its version."""
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

    def _chunks(self, document: Document) -> list[Chunk]:
        revision = _REVISION + document.key
        return [
            Chunk(
                ids.chunk_id(revision, self.manifest.chunker, span.ordinal),
                revision,
                span,
                document.text[span.start : span.end],
            )
            for span in document.spans
        ]


async def built(cache: Path, name: str, fill: Callable[[Home], Awaitable[None]]) -> Path:
    """The folder of the home `name` below `cache`, filled by `fill` unless the same manifest filled it before."""
    manifest = await default_manifest(Models(EmbeddingSettings(), cache))
    folder = cache / f"{name}-{manifest.hash[:12]}"
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        async with Home.open(folder) as home:
            await home.make_store()
            await fill(home)
            home.await_graph()
        (folder / _DONE).touch()
    return folder


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


def _row(chunk: Chunk) -> dict[str, object]:
    span = chunk.span
    return {
        "id": chunk.id,
        "revision_id": chunk.revision_id,
        "ordinal": span.ordinal,
        "start": span.start,
        "end": span.end,
        "tokens": span.tokens,
        "section": list(span.section),
        "text": chunk.text,
    }
