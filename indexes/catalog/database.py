"""Transactions on SQLite or PostgreSQL, with the same meaning on both."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from indexes.catalog.commits import Commits
from indexes.catalog.tables import IdempotencyKey
from indexes.errors import Conflict, SettingsError, StorageFull, Unavailable
from indexes.settings import CatalogSettings

T = TypeVar("T")

BUSY_TIMEOUT_S = 30
"""How long a process waits for another one's write on SQLite before it gives up."""

_POSTGRES_DISK_FULL = "53100"
_POSTGRES_TRY_AGAIN = ("40001", "40P01")  # what is at odds with another transaction, deadlocks among it
_POSTGRES_OUTAGES = ("08", "53", "57P0")  # connections, resources, the operator's shutdown

AT_ONCE = 200
"""Rows to read or write with one statement where there may be thousands, so that the event loop gets its turn."""


class Database:
    """Hands out transactions: `read()` sees one snapshot, `write()` commits on a clean exit and rolls back otherwise.

    On SQLite there is one writing connection to a process, so that writers of the same process queue here in order
    instead of polling the file lock; other processes are waited for by the busy timeout. Do no I/O inside `write()`.
    """

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, threaded: Engine | None = None) -> None:
        """`threaded` reads in threads, where the driver of `reader` would do so too, only slower."""
        self._reader = reader
        self._writer = writer
        self._threaded = threaded
        self._commits = None if threaded is None else Commits(threaded)

    @property
    def engine(self) -> AsyncEngine:
        """The engine that may write, for migrations."""
        return self._writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads. Rows stay usable after it."""
        with database_errors():
            async with AsyncSession(self._reader, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write; it holds the write lock from its first statement."""
        with database_errors():
            async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
                yield session

    async def snapshot(self, read: Callable[[Connection], T]) -> T:
        """What the plain function `read` makes of one snapshot of the catalog.

        For what is asked on every search: one change of threads on SQLite, where `read()` takes some for each
        statement.
        """
        with database_errors():
            if self._threaded is not None:
                return await asyncio.to_thread(_read, self._threaded, read)
            async with self._reader.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                return await connection.run_sync(read)

    def commits(self) -> int | None:
        """A number that is another one after each commit of any process: while it stays, what was read still holds.

        None where the database cannot tell at once. For the event loop only.
        """
        return None if self._commits is None else self._commits.count()

    async def close(self) -> None:
        """Close every connection."""
        if self._commits is not None:
            self._commits.close()
        if self._threaded is not None:
            await asyncio.to_thread(self._threaded.dispose)
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


def open_database(settings: CatalogSettings, home: Path) -> Database:
    """The database that the settings name; nothing is connected yet."""
    default = f"sqlite:///{home / 'catalog.db'}"
    url = _async_url(settings.url.get_secret_value() if settings.url else default)
    if url.get_backend_name() == "postgresql":
        engine = create_async_engine(
            url, pool_size=settings.pool_size, max_overflow=settings.pool_size, pool_pre_ping=True, **_JSON
        )
        event.listen(engine.sync_engine, "do_connect", _connected)
        return Database(engine, engine)
    reader = create_async_engine(url, pool_size=settings.pool_size, max_overflow=0, **_JSON)
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=BUSY_TIMEOUT_S * 2, **_JSON)
    threaded = create_engine(url.set(drivername="sqlite"), pool_size=settings.pool_size, max_overflow=0, **_JSON)
    _configure_sqlite(reader.sync_engine, begin="BEGIN")
    _configure_sqlite(threaded, begin="BEGIN")
    _configure_sqlite(writer.sync_engine, begin="BEGIN IMMEDIATE")
    return Database(reader, writer, threaded)


def _connected(
    dialect: Dialect, _record: object, arguments: Sequence[Any], named: Mapping[str, Any]
) -> DBAPIConnection:
    """A connection; asyncpg lets through what the operating system says of one that cannot be had."""
    try:
        return dialect.connect(*arguments, **named)
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"The catalog database cannot be reached: {error}. Try again.") from error


def _read(engine: Engine, read: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return read(connection)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn a lost, busy or full database into Unavailable; programming errors stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _outage(error) from error
    except PoolTimeout as error:
        raise Unavailable("The catalog database is busy. Try again.") from error
    except IntegrityError as error:
        if IdempotencyKey.__tablename__ in str(error.orig):
            raise Conflict(
                "The same request is being handled at this moment. Send it again to get its result.",
                code="idempotency_in_progress",
            ) from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated or _is_full(error) or _passes(error):
            raise _outage(error) from error
        raise


def _outage(error: DBAPIError) -> Unavailable:
    if _is_full(error):
        return StorageFull(
            "The catalog database has no room left, and nothing of this was kept. Ask the operator for more disk, and "
            "try again."
        )
    return Unavailable(f"The catalog database did not answer: {error.orig}. Try again.")


def _is_full(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _POSTGRES_DISK_FULL


def _passes(error: DBAPIError) -> bool:
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return state in _POSTGRES_TRY_AGAIN or state.startswith(_POSTGRES_OUTAGES)


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces of the size that suits one statement."""
    for first in range(0, len(values), AT_ONCE):
        yield values[first : first + AT_ONCE]


_JSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def _async_url(text: str) -> URL:
    url = make_url(text)
    match url.get_backend_name():
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql":
            return url.set(drivername="postgresql+asyncpg")
        case other:
            raise SettingsError(
                f"catalog.url names the database '{other}'. Use sqlite:///path or postgresql://user:password@host/name."
            )


def _configure_sqlite(engine: Engine, begin: str) -> None:
    # The driver must not begin transactions by itself: a deferred one that first reads and then writes fails under
    # contention, whatever the busy timeout is.
    def connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection object
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",  # WAL's default may lose the last commits in a power cut (I1)
            "foreign_keys = ON",
            "temp_store = MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
