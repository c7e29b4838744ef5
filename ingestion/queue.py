"""Wake-ups for workers, on arq. With `worker` one of the two files that know arq.

A message is an id and nothing else; what to do is asked of the catalog. A message may be lost, doubled or late.
"""

import asyncio
import logging
from collections.abc import Sequence

import orjson
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from indexes.catalog.tables import Revision
from ingestion.settings import QueueSettings
from ingestion.valkey import Valkey

log = logging.getLogger(__name__)

QUEUE = "citewell:work"
JOB = "wake"
MOST_WAKES = 16
"""Messages for one request. Each wakes one worker, and a woken worker goes on until nothing is due."""


class Queue:
    """Where wake-ups go. Failing to send one is not an error: workers also look by themselves."""

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._pool: ArqRedis | None = None
        self._connecting = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()

    def wake(self, revisions: Sequence[Revision]) -> None:
        """Tell some worker of due work, without waiting for the queue."""
        if revisions:
            task = asyncio.create_task(self._send([revision.id for revision in revisions[:MOST_WAKES]]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def answers(self) -> bool:
        """Whether the queue server is there."""
        try:
            return bool(await (await self.connect()).ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        """Send what is being sent and disconnect."""
        await asyncio.gather(*self._sending)
        if self._pool is not None:
            await self._pool.aclose()

    async def _send(self, revision_ids: list[str]) -> None:
        try:
            pool = await self.connect()
            for revision_id in revision_ids:
                await pool.enqueue_job(JOB, revision_id)
        except (RedisError, OSError) as error:
            log.warning("no wake-up was sent; the workers will find the work a little later: %s", error)

    async def connect(self) -> ArqRedis:
        """The connections of this process. Raises what redis raises where the server does not answer."""
        async with self._connecting:  # of two pools made at once one would never be closed
            if self._pool is None:
                self._pool = await create_pool(
                    self.settings, default_queue_name=QUEUE, job_serializer=orjson.dumps, job_deserializer=orjson.loads
                )
            return self._pool


def redis_settings(settings: QueueSettings, embedded: Valkey | None) -> RedisSettings:
    """How to reach the queue server: the embedded one's socket, or the URL of the settings."""
    if embedded is not None:
        base = RedisSettings(unix_socket_path=str(embedded.socket))
    else:
        assert settings.url is not None
        base = RedisSettings.from_dsn(settings.url.get_secret_value())
    # Without these a worker ends at the first dropped connection.
    base.retry = Retry(ExponentialBackoff(cap=1, base=0.05), retries=5)
    base.retry_on_error = [RedisConnectionError, RedisTimeoutError]
    base.retry_on_timeout = True
    return base
