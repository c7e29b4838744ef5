"""Whether anything was committed to a catalog on SQLite, by whatever process: told in microseconds."""

import contextlib
import sqlite3
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError


class Commits:
    """For one thread: it has a connection of its own, which never writes."""

    def __init__(self, engine: Engine) -> None:
        """`engine` is one of SQLite. It connects on the first call."""
        self._engine = engine
        self._connection: Any = None

    def count(self) -> int | None:
        """A number that is another one after each commit; None where SQLite cannot tell at once.

        It is read from memory that the processes share: https://www.sqlite.org/pragma.html#pragma_data_version
        """
        with contextlib.suppress(sqlite3.DatabaseError, DBAPIError):
            if self._connection is None:
                self._connection = self._connect()
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        return None

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> Any:  # noqa: ANN401 - the driver's own connection object
        borrowed = self._engine.raw_connection()
        connection: Any = borrowed.driver_connection
        borrowed.detach()  # the pool opens another in its place
        connection.execute("PRAGMA busy_timeout = 0")
        return connection
