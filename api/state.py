"""Everything with a lifetime: built once when a process starts, passed to whoever needs it, closed in reverse order."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api.callers import Callers
from api.limits import Capacity
from api.settings import Settings
from evaluation.comparing import Comparer
from evaluation.gatekeeper import Gatekeeper
from generation.answering import Answering
from indexes.blobs import Blobs, open_blobs
from indexes.catalog import keys, schema
from indexes.catalog.database import Database, open_database
from indexes.catalog.spending import Spending
from indexes.catalog.tables import Role
from indexes.embedders.models import Models
from indexes.engines.opening import open_engine
from indexes.errors import CitewellError, NotFound, Overloaded
from indexes.index import Engine
from indexes.remote import secret
from indexes.remote.endpoint import Endpoint
from indexes.reranker import SharedReranker
from indexes.rerankers.opening import open_reranker
from indexes.rerankers.settings import RerankSettings
from indexes.settings import EmbeddingSettings
from ingestion.children import Children
from ingestion.cutting import Cutter
from ingestion.defaults import default_manifest
from ingestion.erase import Eraser
from ingestion.filling import Filler
from ingestion.intake import Intake
from ingestion.pages import Pages
from ingestion.parse import artefact
from ingestion.parse.limits import MEBIBYTE, Limits
from ingestion.parts import PartFinder
from ingestion.pipeline import Pipeline
from ingestion.queue import Queue, redis_settings
from ingestion.rebuild import Builder
from ingestion.recognition import Tesseract
from ingestion.reconcile import Reconciler, repeated
from ingestion.reindex import Reindexer
from ingestion.stocktaking import LOOK_S, Stocktaker
from ingestion.sweep import GRACE_S, SWEEP_S, Sweeper
from ingestion.valkey import Valkey
from ingestion.vectors import VectorMaker
from ingestion.worker import Worker
from retrieval.observations import Observations
from retrieval.ranking import Ranker
from retrieval.recall import RecallWatch
from retrieval.refining import Refiner
from retrieval.rerank import Reranking
from retrieval.rewriting import WithoutCourtesy
from retrieval.search import Searcher
from retrieval.traffic import Traffic
from retrieval.warming import Warmer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Storage:
    """What the api and the worker both stand on."""

    settings: Settings
    database: Database
    blobs: Blobs
    engine: Engine
    models: Models
    queue: Queue
    eraser: Eraser
    intake: Intake

    def text(self, blob: str) -> str:
        """The canonical text that a blob holds. Blocks. Raises NotFound where it is being deleted."""
        return artefact.loads(self.blobs.read(blob)).text


@dataclass(frozen=True, slots=True)
class State:
    """What requests are served with."""

    settings: Settings
    database: Database
    callers: Callers
    blobs: Blobs
    engine: Engine
    models: Models
    reranker: SharedReranker | None
    queue: Queue
    intake: Intake
    searcher: Searcher
    reindexer: Reindexer
    gatekeeper: Gatekeeper
    answering: Answering
    capacity: Capacity
    listeners: Capacity
    uploads: Capacity
    incoming: Path

    async def health(self) -> dict[str, str]:
        """Each part and `ok`, or what is wrong with it."""
        return {
            "catalog": await _catalog_health(self.database),
            "queue": "ok" if await self.queue.answers() else "the queue server does not answer",
            "models": "ok" if self.models.ready else "the embedding model is being loaded",
            "vectors": await _engine_health(self.engine, self.models),
        }


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Open the catalog, the blobs, the vectors, the models and the queue that the settings name."""
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        database = open_database(settings.catalog, home)
        stack.push_async_callback(database.close)
        await schema.upgrade(database)
        blobs = open_blobs(settings.blobs, home)
        engine = await asyncio.to_thread(open_engine, settings.engine, home)
        stack.push_async_callback(asyncio.to_thread, engine.close)
        models = Models(settings.embedding, home / "models", _elsewhere(settings.embedding, home))
        stack.push_async_callback(models.close)
        queue = Queue(redis_settings(settings.queue, await _valkey(settings, stack)))
        stack.push_async_callback(queue.close)
        eraser = Eraser(database, blobs, engine)
        intake = Intake(database, blobs, engine, queue, eraser)
        yield Storage(settings, database, blobs, engine, models, queue, eraser, intake)


@asynccontextmanager
async def open_state(storage: Storage) -> AsyncIterator[State]:
    """What requests need beside the storage. The embedding model is loaded meanwhile."""
    settings = storage.settings
    await _first_key(storage)
    incoming = settings.home / "blobs" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(_discard, incoming)
    loading = asyncio.create_task(storage.models.load_default())
    observations = Observations(storage.database, settings.search.recorded_queries)
    recall = RecallWatch(settings.search.recall_share, observations.note_recall)
    ranker = Ranker(storage.engine, storage.models, settings.search, recall, storage.database)
    traffic = Traffic(ranker, observations)
    writing = asyncio.create_task(observations.run())
    warming = asyncio.create_task(Warmer(storage.database, ranker).run())
    async with (
        _reranker(settings, settings.rerank, _elsewhere(settings.embedding, settings.home)) as reranker,
        _reranker(settings, settings.generation.judge) as judge,
        Answering.open(
            settings.generation,
            storage.models,
            judge,
            Spending(storage.database),
            Pages(storage.database, storage.blobs),
        ) as answering,
    ):
        refiner = Refiner(storage.database, storage.engine, Reranking(reranker, settings.rerank), storage.text)
        try:
            yield State(
                settings=settings,
                database=storage.database,
                callers=Callers(storage.database),
                blobs=storage.blobs,
                engine=storage.engine,
                models=storage.models,
                reranker=reranker,
                queue=storage.queue,
                intake=storage.intake,
                searcher=Searcher(storage.database, ranker, refiner, traffic, settings.search, WithoutCourtesy()),
                reindexer=Reindexer(
                    storage.database, storage.models, settings.worker.build_share, settings.embedding.prices
                ),
                gatekeeper=Gatekeeper(storage.database, Comparer(storage.database, ranker)),
                answering=answering,
                capacity=Capacity(settings.server.max_concurrent_requests),
                listeners=Capacity(settings.server.max_event_streams),
                uploads=Capacity(settings.server.max_uploads),
                incoming=incoming,
            )
        finally:
            await traffic.close()
            await recall.close()
            await _stopped(warming, writing, loading)
            with contextlib.suppress(CitewellError):
                await observations.flush()


@asynccontextmanager
async def working(storage: Storage) -> AsyncIterator[None]:
    """Run a worker in this process until the end of the block; then its work is given back."""
    settings = storage.settings.worker
    limits = Limits(
        max_pages=settings.parse_pages,
        max_seconds=settings.parse_s,
        max_memory_bytes=settings.parse_memory_mb * MEBIBYTE,
    )
    recogniser = Tesseract.installed(settings.ocr_languages, settings.parsers) if settings.ocr == "auto" else None
    children = Children(settings.parsers, limits, recogniser)
    await children.start()
    cutter = Cutter(storage.database, storage.models, children)
    vectors = VectorMaker(storage.database, storage.engine, storage.models)
    filler = Filler(storage.database, storage.engine, vectors, settings.batch_chunks)
    pipeline = Pipeline(
        database=storage.database,
        blobs=storage.blobs,
        engine=storage.engine,
        parser=children,
        cutter=cutter,
        filler=filler,
        parts=PartFinder(storage.database, storage.blobs, children),
        queue=storage.queue,
        eraser=storage.eraser,
        settings=settings,
    )
    builder = Builder(storage.database, storage.blobs, storage.engine, cutter, filler, settings)
    reconciler = Reconciler(storage.database, storage.eraser, storage.intake, settings.retention_h * 3600)
    sweeper = Sweeper(storage.database, storage.blobs)
    stocktaker = Stocktaker(storage.database, storage.engine)
    tasks = [
        asyncio.create_task(Worker(storage.queue, pipeline, builder, reconciler, settings).run()),
        asyncio.create_task(repeated(sweeper.once, SWEEP_S)),
        asyncio.create_task(repeated(stocktaker.once, LOOK_S)),
    ]
    try:
        yield
    finally:
        await _stopped(*tasks)
        await children.close()


@asynccontextmanager
async def _reranker(
    settings: Settings, wanted: RerankSettings, elsewhere: Sequence[Endpoint] = ()
) -> AsyncIterator[SharedReranker | None]:
    """Its model is loaded meanwhile, in the process that runs the models, if that is another."""
    reranker = await open_reranker(wanted, settings.embedding, settings.home / "models", elsewhere)
    try:
        yield reranker
    finally:
        if reranker is not None:
            await reranker.close()


async def _stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _elsewhere(settings: EmbeddingSettings, home: Path) -> list[Endpoint]:
    """Where models are run, if not here."""
    if not settings.urls:
        return []
    known = secret.shared_secret(settings.secret, settings.secret_file or home / secret.FILE)
    return [Endpoint(url, known, settings.timeout_s) for url in settings.urls]


async def _valkey(settings: Settings, stack: AsyncExitStack) -> Valkey | None:
    if settings.queue.url is not None:
        return None
    server = Valkey(settings.home / "queue")
    stack.push_async_callback(server.stop)
    await server.start()
    return server


async def _first_key(storage: Storage) -> None:
    """Make the admin key of an empty catalog and write it where only the owner can read it."""
    async with storage.database.write() as session:
        if await keys.any_exists(session):
            return
        _, secret = await keys.create(session, "admin", keys.DEFAULT_PROJECT, Role.ADMIN)
        path = storage.settings.home / "admin.key"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
    log.info("made the first admin key: %s", path)


async def _catalog_health(database: Database) -> str:
    try:
        async with database.read() as session:
            await keys.any_exists(session)
    except CitewellError as error:
        return error.message
    return "ok"


async def _engine_health(engine: Engine, models: Models) -> str:
    """An engine that can say that it lacks a version answers."""
    try:
        await asyncio.to_thread(engine.open, "ixv_none", await default_manifest(models))
    except (NotFound, Overloaded):
        return "ok"
    except CitewellError as error:
        return error.message
    return "ok"


def _discard(incoming: Path) -> None:
    """Remove what a killed process left of uploads that were never acknowledged; others may be receiving theirs."""
    for path in incoming.glob("upload-*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - GRACE_S:
                path.unlink()
