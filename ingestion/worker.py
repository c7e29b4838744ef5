"""The worker loop, on arq. With `queue` one of the two files that know arq."""

import asyncio
import logging
from typing import Any

import orjson
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.exceptions import RedisError

from ingestion.pipeline import Pipeline
from ingestion.queue import JOB, QUEUE, Queue
from ingestion.reconcile import Reconciler
from ingestion.settings import WorkerSettings

log = logging.getLogger(__name__)
_JOB_TIMEOUT_S = 24 * 3600
"""A bound arq insists on; the lease in the catalog is what really bounds the work."""


class Worker:
    """Takes wake-ups and processes revisions until cancelled; beside that it reconciles."""

    def __init__(self, queue: Queue, pipeline: Pipeline, reconciler: Reconciler, settings: WorkerSettings) -> None:
        self._queue = queue
        self._pipeline = pipeline
        self._reconciler = reconciler
        self._settings = settings

    async def run(self) -> None:
        """Work until cancelled. On cancellation work in progress is given back and every lease released."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run(self._settings.reconcile_s))
            group.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            worker = self._arq_worker()
            try:
                await worker.async_run()
            except (RedisError, OSError) as error:
                log.warning("the queue server does not answer (%s); trying again", error)
                await asyncio.sleep(0.5)
            finally:
                await worker.close()

    def _arq_worker(self) -> ArqWorker:
        async def process(_context: dict[Any, Any], revision_id: str) -> None:
            await self._pipeline.process(revision_id)

        return ArqWorker(
            functions=[func(process, name=JOB, keep_result=0)],
            queue_name=QUEUE,
            redis_settings=self._queue.settings,
            handle_signals=False,
            max_jobs=self._settings.concurrency,
            queue_read_limit=self._settings.concurrency * 4,
            job_timeout=_JOB_TIMEOUT_S,
            max_tries=1,
            retry_jobs=False,
            poll_delay=0.1,
            log_results=False,
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
        )
