"""Brings the catalog's tables to the form that this release needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from indexes.catalog.database import Database, database_errors

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
    command.upgrade(config(connection), "head")


def config(connection: Connection) -> Config:
    """Alembic's configuration; there is no ini file."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings
