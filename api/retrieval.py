"""The life of `citewell retrieval`: open the engine and the models, listen, drain, close.

Apart from `main`, whose imports take three times as long: until this process is back, nobody searches.
"""

import asyncio
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from api.limits import Capacity
from api.process import KEEP_ALIVE_S, configure_logs, exit_once_drained
from api.retrieval_app import Lane, Served, create_retrieval_app
from api.settings import NoEngineSettings, RetrievalSettings, Settings
from indexes.embedders.models import Models
from indexes.engines.opening import open_engine
from indexes.errors import CitewellError, SettingsError
from indexes.remote import secret
from indexes.rerankers.opening import open_reranker

log = logging.getLogger(__name__)


def retrieve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight get `server.drain_s` to end.

    Raises SettingsError where another process owns the vectors or the address cannot be listened on.
    """
    configure_logs()
    exit_once_drained()
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_retrieve(settings))


async def _retrieve(settings: Settings) -> None:
    # The engine first: while it is another process's, that one's socket must be let be.
    async with open_served(settings) as served:
        with listening(settings.retrieval, settings.home) as (listener, address):
            config = uvicorn.Config(
                create_retrieval_app(served),
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=math.ceil(settings.server.drain_s),
            )
            log.info("listening on %s", address)
            await uvicorn.Server(config).serve(sockets=[listener])


@asynccontextmanager
async def open_served(settings: Settings) -> AsyncIterator[Served]:
    """The engine, and the models, which are loaded meanwhile."""
    knobs, home = settings.retrieval, settings.home
    home.mkdir(parents=True, exist_ok=True)
    known = secret.shared_secret(knobs.secret, knobs.secret_file or home / secret.FILE)
    async with AsyncExitStack() as stack:
        engine = None
        if not isinstance(knobs.engine, NoEngineSettings):
            engine = await asyncio.to_thread(open_engine, knobs.engine, home)
            stack.push_async_callback(asyncio.to_thread, engine.close)
        models = Models(settings.embedding, home / "models")
        stack.push_async_callback(models.close)
        reranker = await open_reranker(settings.rerank, settings.embedding, home / "models")
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        reads = Lane("reads", knobs.max_reads, knobs.threads)
        stack.push_async_callback(asyncio.to_thread, reads.close)
        writes = Lane("writes", knobs.max_writes, knobs.threads)
        stack.push_async_callback(asyncio.to_thread, writes.close)
        loading = asyncio.create_task(_load(models))
        stack.callback(loading.cancel)
        embeddings, reranks = Capacity(knobs.max_embeddings), Capacity(knobs.max_reranks)
        yield Served(engine, models, known, reads, writes, embeddings, reranks, reranker)


@contextmanager
def listening(settings: RetrievalSettings, home: Path) -> Iterator[tuple[socket.socket, str]]:
    """The socket of the settings, and its address as the other processes name it. Raises SettingsError."""
    path = settings.socket or home / "retrieval.sock"
    if settings.host is not None and settings.socket is not None:
        raise SettingsError("retrieval.socket and retrieval.host are both set: listen on one of them.")
    try:
        listener = _unix(path) if settings.host is None else _tcp(settings.host, settings.port)
    except OSError as error:
        where = path if settings.host is None else f"{settings.host}:{settings.port}"
        raise SettingsError(f"{where} cannot be listened on: {error}. Set another address.") from error
    try:
        if settings.host is None:
            yield listener, f"unix://{path}"
        else:
            yield listener, f"http://{settings.host}:{listener.getsockname()[1]}"
    finally:
        listener.close()
        if settings.host is None:
            path.unlink(missing_ok=True)


def _unix(path: Path) -> socket.socket:
    """A socket for this user alone; what a killed process left in its place is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    # Bound under another name first: at its own it appears with its mode set, and no call falls into a gap.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen()
        fresh.replace(path)
    except OSError:
        listener.close()
        raise
    return listener


def _tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


async def _load(models: Models) -> None:
    try:
        await models.load_default()
    except CitewellError as error:
        log.error("the embedding model cannot be loaded: %s", error.message)  # noqa: TRY400 - the message says it all
