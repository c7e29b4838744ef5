"""Files of the embedded engine that are gone, cut short or overwritten: the service finds it out, says it, and makes
them again from the catalog, while it answers.
"""

import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

ENVIRONMENT = {
    "CITEWELL_EMBEDDING__MODEL": "hashing-256",
    "CITEWELL_WORKER__RETRY_DELAY_S": "0.1",
    "CITEWELL_WORKER__LEASE_S": "2",
}
DOCUMENTS = 40


def gone(vectors: Path, _chance: random.Random) -> None:
    shutil.rmtree(vectors)


def emptied(vectors: Path, _chance: random.Random) -> None:
    for file in _files(vectors):
        file.unlink()


def some_missing(vectors: Path, chance: random.Random) -> None:
    for file in chance.sample(_files(vectors), 5):
        file.unlink()


def segments_cut(vectors: Path, _chance: random.Random) -> None:
    for file in _files(vectors):
        if "segments" in file.parts:
            os.truncate(file, file.stat().st_size // 2)


def log_cut(vectors: Path, _chance: random.Random) -> None:
    for file in _files(vectors):
        if "wal" in file.parts:
            os.truncate(file, file.stat().st_size // 2)


def garbage(vectors: Path, chance: random.Random) -> None:
    for path in _files(vectors):
        size = path.stat().st_size
        with path.open("r+b") as file:
            for _ in range(20 if size else 0):
                file.seek(chance.randrange(size))
                file.write(chance.randbytes(1))


Damage = Callable[[Path, random.Random], None]
KINDS = [gone, emptied, some_missing, segments_cut, log_cut, garbage]


def _files(vectors: Path) -> list[Path]:
    return sorted(path for path in vectors.rglob("*") if path.is_file() and path.name != "lock")


class Home:
    """A service with one store on a home that was filled before."""

    def __init__(self, service: Any, store: str) -> None:
        self.service, self.store = service, store

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.service.key}"}
        return httpx.Client(base_url=f"{self.service.url}/v1", headers=headers, timeout=30)

    def search(self) -> Any:
        body = {"query": "which heron fishes?", "max_num_results": 50}
        with self.client() as client:
            return client.post(f"/vector_stores/{self.store}/search", json=body).raise_for_status().json()

    def whole(self, expected: set[str], timeout_s: float = 60) -> None:
        """Wait until a search is not partial: then it has everything, and before that it never looked complete."""
        deadline = time.monotonic() + timeout_s
        while (found := self.search())["partial"]:
            assert found["problems"]
            assert {hit["filename"] for hit in found["data"]} <= expected
            assert time.monotonic() < deadline, found["problems"]
            time.sleep(0.05)
        assert {hit["filename"] for hit in found["data"]} == expected

    def row(self, columns: str) -> tuple[Any, ...]:
        with closing(sqlite3.connect(self.service.home / "catalog.db", timeout=30)) as catalog:
            row: tuple[Any, ...] = catalog.execute(f"SELECT {columns} FROM index_versions").fetchone()
            return row

    def until(self, true: Callable[[], Any], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)


def attach(client: httpx.Client, store: str, name: str, text: str) -> str:
    uploaded = client.post("/files", data={"purpose": "assistants"}, files={"file": (name, text.encode())})
    file: str = uploaded.raise_for_status().json()["id"]
    client.post(f"/vector_stores/{store}/files", json={"file_id": file}).raise_for_status()
    return file


NAMES = {f"d{number}.md" for number in range(DOCUMENTS)}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> tuple[Path, str]:
    """A home with documents that were all ingested, and its store."""
    service = service_class(tmp_path_factory.mktemp("filled") / "home", ENVIRONMENT)
    service.start()
    with Home(service, "").client() as client:
        store = client.post("/vector_stores", json={"name": "s"}).json()["id"]
        for name in sorted(NAMES):
            attach(client, store, name, f"The heron of {name} fishes alone.")
        while client.get(f"/vector_stores/{store}").json()["file_counts"]["completed"] < DOCUMENTS:
            time.sleep(0.1)
    service.stop()
    return service.home, store


@pytest.fixture
def home(filled: tuple[Path, str], tmp_path: Path, service_class: Any) -> Iterator[Home]:
    """A copy of it, not started yet."""
    subprocess.run(["cp", "-r", "--sparse=always", filled[0], tmp_path / "home"], check=True)
    copied = Home(service_class(tmp_path / "home", ENVIRONMENT), filled[1])
    yield copied
    if copied.service._process is not None:
        copied.service.kill()
        print(copied.service.log()[-3000:])


def restores(home: Home, damage: Damage, seed: int) -> None:
    print(f"{damage.__name__}, seed {seed}")
    damage(home.service.home / "vectors", random.Random(seed))
    home.service.start()
    home.whole(NAMES)
    time.sleep(1)  # what a first search does not touch is found by counting
    home.until(lambda: home.row("restoring_since") == (None,))
    home.whole(NAMES)
    embedded, reused = home.row("embedded, reused")
    assert embedded + reused <= DOCUMENTS
    with home.client() as client:  # and it can be written to
        attach(client, home.store, "new.md", "A new heron fishes too.")
        path = f"/vector_stores/{home.store}"
        home.until(lambda: client.get(path).json()["file_counts"]["completed"] == DOCUMENTS + 1)
    home.whole({*NAMES, "new.md"})


@pytest.mark.parametrize("damage", [gone, garbage])
def test_what_is_damaged_at_the_start_is_restored(home: Home, damage: Damage) -> None:
    restores(home, damage, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("damage", KINDS)
def test_so_is_what_is_damaged_in_other_ways(home: Home, damage: Damage, seed: int) -> None:
    restores(home, damage, seed)


def test_a_kill_while_it_restores_and_what_owners_do_meanwhile(home: Home) -> None:
    gone(home.service.home / "vectors", random.Random(1))
    home.service.start()
    home.until(lambda: home.row("embedded")[0] > 0)
    home.service.kill()
    assert home.row("restoring_since") != (None,)
    home.service.start()
    with home.client() as client:
        files = {file["filename"]: file["id"] for file in client.get("/files?limit=100").json()["data"]}
        attach(client, home.store, "d1.md", "Another heron fishes in its place.")
        client.delete(f"/files/{files['d2.md']}").raise_for_status()
        home.until(lambda: client.get(f"/vector_stores/{home.store}").json()["file_counts"]["in_progress"] == 0)
    home.until(lambda: home.row("restoring_since") == (None,))
    home.whole(NAMES - {"d2.md"})
    texts = [part["text"] for hit in home.search()["data"] if hit["filename"] == "d1.md" for part in hit["content"]]
    assert texts == ["Another heron fishes in its place."]


def test_files_that_are_damaged_while_it_runs(home: Home) -> None:
    """They are mapped: a search may end the process (SIGBUS), and then the next start restores them."""
    home.service.start()
    home.whole(NAMES)
    segments_cut(home.service.home / "vectors", random.Random(1))
    try:
        for _ in range(3):
            found = home.search()
            assert found["partial"] or {hit["filename"] for hit in found["data"]} == NAMES
    except httpx.HTTPError as error:
        print(repr(error))
    home.service.kill()
    home.service.start()
    home.whole(NAMES)
