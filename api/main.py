"""The entry points of processes: serve, work, and what the command line does to the catalog itself."""

import asyncio
import math
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from api.app import create_app
from api.process import KEEP_ALIVE_S, configure_logs, exit_once_drained
from api.settings import Settings
from api.state import open_storage, working
from indexes.catalog import keys, schema
from indexes.catalog.database import Database, open_database
from indexes.catalog.tables import ApiKey, Role


def serve(settings: Settings) -> None:
    """Serve HTTP until SIGTERM or SIGINT; requests in flight get `server.drain_s` to end."""
    configure_logs()
    exit_once_drained()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.server.drain_s),
    )
    server = uvicorn.Server(config)
    app.state.stopping = lambda: server.should_exit  # streams without an end of their own ask it
    server.run()


def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; work in progress is given back."""
    configure_logs()
    asyncio.run(_work(settings))


async def create_key(settings: Settings, name: str, project: str, role: Role) -> tuple[ApiKey, str]:
    """Make an API key; the second value is the only copy of the secret."""
    async with _catalog(settings) as database, database.write() as session:
        return await keys.create(session, name, project, role)


async def list_keys(settings: Settings) -> list[ApiKey]:
    """All API keys, revoked ones too, oldest first."""
    async with _catalog(settings) as database, database.read() as session:
        return await keys.listing(session)


async def revoke_key(settings: Settings, key_id: str) -> None:
    """Make a key useless from now on. Raises NotFound."""
    async with _catalog(settings) as database, database.write() as session:
        await keys.revoke(session, key_id)


@asynccontextmanager
async def _catalog(settings: Settings) -> AsyncIterator[Database]:
    settings.home.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.catalog, settings.home)
    try:
        await schema.upgrade(database)
        yield database
    finally:
        await database.close()


async def _work(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_storage(settings) as storage, working(storage):
        await stopped.wait()
