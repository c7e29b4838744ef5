"""Everything that changes index versions, without processes and models: each part is run by hand, in one event loop."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from evaluation.comparing import Comparer
from evaluation.gatekeeper import Gatekeeper
from indexes.blobs import DirectoryBlobs
from indexes.catalog import builds, promotion, snapshots, versions
from indexes.catalog.database import Database
from indexes.catalog.history import Because
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Store, VersionState
from indexes.catalog.version_tables import Holding, SnapshotRevision
from indexes.embedders.hashing import HashingEmbedder
from indexes.engines.exact_index import ExactEngine
from indexes.errors import NotFound
from indexes.filters import Comparison, Operator
from indexes.index import Engine
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Attributes, Block, BlockKind, CanonicalText, Chunk, Hit, Span, Vector
from indexes.rerankers.settings import NoRerankSettings
from ingestion.chunk import CHUNKER_VERSION, chunk
from ingestion.cutting import Cutter
from ingestion.erase import Eraser
from ingestion.filling import Filler
from ingestion.intake import Intake, NewStore, Upload
from ingestion.intake import Wanted as WantedFile
from ingestion.parts import PartFinder
from ingestion.pipeline import OWNER, Pipeline
from ingestion.rebuild import Builder
from ingestion.reconcile import Reconciler
from ingestion.reindex import Reindexer, Wanted
from ingestion.settings import WorkerSettings
from ingestion.vectors import VectorMaker
from retrieval.observations import Observations
from retrieval.query import Query
from retrieval.ranking import Ranker
from retrieval.refining import Refiner
from retrieval.rerank import Reranking
from retrieval.search import Searcher
from retrieval.settings import SearchSettings
from retrieval.traffic import Traffic

PROJECT = "p"
ENGINEER = Because("engineer", "a test")
EVERYTHING = Query(("rule",), limit=500)


class PlainText:
    """Parses and cuts in this process."""

    version = "plain-1"

    async def parse(self, path: Path, filename: str) -> CanonicalText:
        text = path.read_text()
        return CanonicalText(text, (Block(0, len(text), BlockKind.PARAGRAPH),), "text/plain")

    async def chunk(self, text: CanonicalText, chunker: str, chunking: Chunking, model: Path | None) -> list[Span]:
        return chunk(text, chunking, HashingEmbedder().tokenizer)


class Deaf:
    """A queue that loses every wake-up."""

    def wake(self, revisions: Sequence[Revision]) -> None:
        pass


class HashingModels:
    """Models `hashing-N` of any dimension, and how many documents' texts each was given."""

    def __init__(self) -> None:
        self.embedded: Counter[str] = Counter()
        self._embedders: dict[str, CountedEmbedder] = {}

    async def spec(self, name: str) -> EmbeddingSpec:
        return self._embedder(name).spec

    async def embedder(self, spec: EmbeddingSpec) -> "CountedEmbedder":
        return self._embedder(spec.name)

    async def tokenizer_folder(self, manifest: Manifest) -> None:
        return None

    def _embedder(self, name: str) -> "CountedEmbedder":
        if name not in self._embedders:
            whole = HashingEmbedder(int(name.removeprefix("hashing-")))
            self._embedders[name] = CountedEmbedder(whole, self.embedded)
        return self._embedders[name]


class CountedEmbedder:
    """An embedder as the tasks of an event loop share one."""

    def __init__(self, embedder: HashingEmbedder, embedded: Counter[str]) -> None:
        self.spec, self.tokenizer = embedder.spec, embedder.tokenizer
        self._embedder, self._embedded = embedder, embedded

    async def queries(self, texts: Sequence[str]) -> Vector:
        return self._embedder.embed_queries(texts)

    async def documents(self, texts: Sequence[str]) -> Vector:
        self._embedded[self.spec.name] += len(texts)
        return self._embedder.embed_documents(texts)


MANIFEST = Manifest("plain-1", CHUNKER_VERSION, Chunking(32, 0), HashingEmbedder(64).spec)


class Workshop:
    """One catalog, one engine, and all who work on them. Leases last for an hour, unless they are made to `expire`."""

    def __init__(self, database: Database, folder: Path, engine: Engine | None = None) -> None:
        self.database, self._folder = database, folder
        self.settings = WorkerSettings(lease_s=3600, retry_delay_s=0, max_attempts=5, build_share=1, batch_chunks=4)
        self.engine = engine or ExactEngine()
        self.models: Any = HashingModels()
        self.blobs = DirectoryBlobs(folder / "blobs")
        self.plain: Any = PlainText()
        queue: Any = Deaf()
        self.eraser = Eraser(database, self.blobs, self.engine)
        self.intake = Intake(database, self.blobs, self.engine, queue, self.eraser)
        cutter = Cutter(database, self.models, self.plain)
        vectors = VectorMaker(database, self.engine, self.models)
        filler = Filler(database, self.engine, vectors, self.settings.batch_chunks)
        parts = PartFinder(database, self.blobs, self.plain)
        self.pipeline = Pipeline(
            database, self.blobs, self.engine, self.plain, cutter, filler, parts, queue, self.eraser, self.settings
        )
        self.builder = Builder(database, self.blobs, self.engine, cutter, filler, self.settings)
        self.reconciler = Reconciler(database, self.eraser, self.intake, retention_s=3600)
        self.reindexer = Reindexer(database, self.models, build_share=1, prices={})
        ranker = Ranker(self.engine, self.models, SearchSettings(candidates=500), database=database)
        self.observations = Observations(database, recorded_queries=200)
        self.traffic = Traffic(ranker, self.observations)
        refiner = Refiner(database, self.engine, Reranking(None, NoRerankSettings()), lambda _: "")
        self.searcher = Searcher(database, ranker, refiner, self.traffic, ranker.settings)
        self.gatekeeper = Gatekeeper(database, Comparer(database, ranker))

    async def store(self, manifest: Manifest = MANIFEST) -> Store:
        """A new store."""
        return await self.intake.create_store(PROJECT, NewStore("s", None, {}, None, manifest), [], None)

    async def upload(self, store: Store, key: str, text: str, attributes: Attributes | None = None) -> Revision:
        """Put a text on its way into the store."""
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        path = self._folder / digest
        path.write_bytes(data)
        file = await self.intake.upload(PROJECT, Upload(path, digest, len(data), "a.txt", "user_data"), None)
        return await self.intake.attach(PROJECT, store.id, WantedFile(file.id, key, attributes or {}, None), None)

    async def work(self) -> None:
        """Do all ingestion that is due."""
        while (revision := await self.pipeline.claim()) is not None:
            await self.pipeline.process(revision)

    async def claim_build(self, *, restoring: bool = False) -> IndexVersion | None:
        """Take over the next build that is due."""
        async with self.database.write() as session:
            return await builds.claim(session, OWNER, self.settings.lease_s, restoring=restoring)

    async def build(self) -> None:
        """Do all building that is due."""
        while (row := await self.claim_build()) is not None:
            await self.builder.build(row)

    async def begin(self, store: Store, **wanted: Any) -> IndexVersion:
        """Begin a build, of the live version's manifest but for what is `wanted`."""
        return await self.reindexer.begin(PROJECT, store.id, Wanted(**wanted), ENGINEER)

    async def built(self, store: Store, **wanted: Any) -> IndexVersion:
        """Begin and finish a build."""
        version = await self.begin(store, **wanted)
        await self.build()
        return await self.version(version.id)

    async def version(self, version_id: str) -> IndexVersion:
        """A version as it is now."""
        async with self.database.read() as session:
            query = select(IndexVersion).where(IndexVersion.id == version_id)
            return (await session.scalars(query)).one()

    async def promote(self, store: Store, version_id: str) -> None:
        """Promote without a gate."""
        async with self.database.write() as session:
            await promotion.promote(session, store.id, version_id, ENGINEER)

    async def rollback(self, store: Store) -> str:
        """The id of the version that is live afterwards."""
        async with self.database.write() as session:
            return (await promotion.rollback(session, store.id, ENGINEER)).id

    async def delete_version(self, store: Store, version_id: str) -> None:
        """Give a version up."""
        async with self.database.write() as session:
            await promotion.delete(session, store.id, version_id, ENGINEER)

    async def snapshot(self, store: Store, name: str) -> None:
        """Take a snapshot."""
        async with self.database.write() as session:
            await snapshots.take(session, store.id, name)

    async def restore(self, store: Store, name: str) -> None:
        """Go back to a snapshot."""
        async with self.database.write() as session:
            await snapshots.restore(session, await snapshots.get(session, store.id, name), ENGINEER)

    async def remove_snapshot(self, store: Store, name: str) -> None:
        """Forget a snapshot."""
        async with self.database.write() as session:
            await snapshots.remove(session, await snapshots.get(session, store.id, name))

    async def search(self, store: Store, query: Query = EVERYTHING) -> list[Hit]:
        """Hits; by default every chunk that readers may see."""
        return (await self.searcher.search(PROJECT, store.id, query)).hits

    async def versions(self, store: Store, *states: VersionState) -> list[IndexVersion]:
        """Versions in these states, oldest first."""
        async with self.database.read() as session:
            return await versions.rows(session, store.id, states)

    async def revisions(self, store: Store, *states: RevisionState) -> dict[str, Revision]:
        """Revisions by id: in these states, or all."""
        async with self.database.read() as session:
            query = select(Revision).where(Revision.store_id == store.id)
            if states:
                query = query.where(Revision.state.in_(states))
            return {row.id: row for row in await session.scalars(query)}

    async def expire(self, *spared: str) -> None:
        """End every lease, as time does with those of the dead, but on the revisions and versions of these ids."""
        async with self.database.write() as session:
            for table in (Revision, IndexVersion):
                ended = update(table).where(table.id.not_in(spared)).values(lease_until=0.0, next_attempt_at=0.0)
                await session.execute(ended)

    async def documents(self, store: Store, query: Query = EVERYTHING) -> dict[str, str]:
        """The text that a search finds under each key, whose chunks must be whole and all of one version."""
        hits = await self.search(store, query)
        assert len({hit.index_version for hit in hits}) <= 1
        chunks: dict[str, list[Chunk]] = defaultdict(list)
        for hit in hits:
            chunks[hit.key].append(hit.chunk)
        for key, mine in chunks.items():
            mine.sort(key=lambda one: one.span.ordinal)
            assert len({one.revision_id for one in mine}) == 1, f"two revisions of {key}"
            assert [one.span.ordinal for one in mine] == list(range(len(mine))), f"half of {key}"
        return {key: " ".join(one.text for one in mine) for key, mine in chunks.items()}

    def inventory(self, version: IndexVersion) -> dict[str, int]:
        """Points by revision that an index version holds in the engine."""
        return self.engine.open(version.id, versions.read_manifest(version.manifest)).inventory()

    async def check(self, store: Store) -> None:
        """Nothing is left to do: each version that may be searched holds just what readers may see, and no other any.

        Readers may see what is current, and what was superseded and a snapshot names.
        """
        kept = await self.revisions(store, RevisionState.CURRENT)
        async with self.database.read() as session:
            rows = list(await session.scalars(select(IndexVersion).where(IndexVersion.store_id == store.id)))
            named = set(await session.scalars(select(SnapshotRevision.revision_id)))
            chunks = list(await session.execute(select(ChunkRow.id, ChunkRow.revision_id, ChunkRow.cut)))
            holdings = list(await session.scalars(select(Holding)))
        superseded = await self.revisions(store, RevisionState.SUPERSEDED)
        kept |= {ident: row for ident, row in superseded.items() if ident in named}
        assert {ident for ident, row in superseded.items() if row.has_points} == superseded.keys() & named
        assert {one.revision_id for one in chunks} <= kept.keys()
        assert sum(row.state == VersionState.LIVE for row in rows) == 1
        for row in rows:
            held = {one.revision_id: one.chunks for one in holdings if one.version_id == row.id}
            if row.state in versions.SEARCHABLE:
                self._check_version(
                    row, kept, held, {one.id: one.revision_id for one in chunks if one.cut == _cut(row)}
                )
            elif row.state == VersionState.DELETED:
                assert held == {}
                with pytest.raises(NotFound):
                    self.inventory(row)
        undeleted = {_cut(row) for row in rows if row.state != VersionState.DELETED}
        assert {one.cut for one in chunks} <= undeleted

    def _check_version(
        self, row: IndexVersion, kept: dict[str, Revision], held: dict[str, int], chunks: dict[str, str]
    ) -> None:
        assert held == Counter(chunks.values())
        assert held.keys() == kept.keys()
        if not kept:
            return
        index = self.engine.open(row.id, versions.read_manifest(row.manifest))
        assert index.inventory() == held
        for ident, revision in kept.items():
            mine = {chunk_id for chunk_id, of in chunks.items() if of == ident}
            assert index.chunk_ids(ident) == mine
            for name, value in revision.attributes.items():
                where = Comparison(name, Operator.EQ, value)
                vector = np.ones(versions.read_manifest(row.manifest).embedding.dimension, dtype=np.float32)
                found = index.dense(vector, 500, where)
                assert mine <= {match.chunk_id for match in found}, f"{row.state} has older attributes"


def _cut(row: IndexVersion) -> str:
    return versions.read_manifest(row.manifest).cut
