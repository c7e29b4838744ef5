"""Brings the catalog's tables to the form that this release needs.

Alembic takes a tenth of a second to import, so it is imported where it is used: once, at the start of a service.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from indexes.catalog.database import Database, database_errors

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x63697465  # any number, the same in every process


async def upgrade(database: Database) -> None:
    """Run the migrations that are missing, in one transaction; processes that start together take turns.

    On SQLite the write lock keeps the others out, on PostgreSQL an advisory lock does.
    """
    with database_errors():
        async with database.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_migrate)


def _migrate(connection: Connection) -> None:
    from alembic import command

    command.upgrade(config(connection), "head")


def config(connection: Connection) -> "Config":
    """Alembic's configuration; there is no ini file."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings
