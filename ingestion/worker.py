"""The worker loop. With `queue` one of the two files that know arq, which carries the wake-ups.

A message only says that something is due. What is due, and who does it, is decided by claims in the catalog, so a
message that is lost, doubled or left behind by a dead worker changes nothing but the moment at which work begins.
"""

import asyncio
import contextlib
import logging
from typing import Any

import orjson
from arq.connections import ArqRedis
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.exceptions import RedisError

from indexes.catalog.tables import Revision
from indexes.errors import CitewellError
from ingestion.pipeline import Pipeline
from ingestion.queue import JOB, QUEUE, Queue
from ingestion.rebuild import Builder
from ingestion.reconcile import Reconciler
from ingestion.settings import WorkerSettings

log = logging.getLogger(__name__)
_RETRY_S = 0.5


class Worker:
    """Processes what is due, so many revisions at a time, until cancelled. Beside that it builds and reconciles.

    Nothing ends it but cancellation: whatever goes wrong is logged, and the next thing is tried.
    """

    def __init__(
        self, queue: Queue, pipeline: Pipeline, builder: Builder, reconciler: Reconciler, settings: WorkerSettings
    ) -> None:
        self._queue = queue
        self._pipeline = pipeline
        self._builder = builder
        self._reconciler = reconciler
        self._settings = settings
        self._woken = asyncio.Event()
        self._places = asyncio.Semaphore(settings.concurrency)

    async def run(self) -> None:
        """Work until cancelled. On cancellation work in progress is given back and every lease released."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run(self._settings.reconcile_s))
            group.create_task(self._builder.run())
            group.create_task(self._builder.run(lost=True))  # what answers now waits for no build
            group.create_task(self._listen())
            while True:
                await self._places.acquire()
                revision = await self._claimed()
                if revision is None:
                    self._places.release()
                    await self._wait()
                else:
                    group.create_task(self._process(revision))

    async def _claimed(self) -> Revision | None:
        self._woken.clear()
        try:
            return await self._pipeline.claim()
        except CitewellError as error:
            log.warning("no work could be claimed: %s", error.message)
        except Exception:
            log.exception("no work could be claimed")
        return None

    async def _process(self, revision: Revision) -> None:
        try:
            await self._pipeline.process(revision)
        except Exception:
            # Not even its end could be noted. The lease runs out, and the work is taken up again.
            log.exception("the work on %s was dropped", revision.id)
        finally:
            self._places.release()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.reconcile_s):
                await self._woken.wait()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listener(await self._queue.connect()).async_run()
            except (RedisError, OSError) as error:
                log.warning("the queue server does not answer (%s); trying again", error)
            except Exception:
                log.exception("listening for wake-ups failed; trying again")
            await asyncio.sleep(_RETRY_S)

    def _listener(self, pool: ArqRedis) -> ArqWorker:
        async def wake(_context: dict[Any, Any], _revision_id: str) -> None:
            self._woken.set()

        return ArqWorker(
            functions=[func(wake, name=JOB, keep_result=0)],
            queue_name=QUEUE,
            redis_pool=pool,
            handle_signals=False,
            job_timeout=5,  # also how long the message of a worker that died stays reserved for it
            max_tries=1,
            poll_delay=0.2,  # each look costs a part of the event loop
            log_results=False,
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
        )
