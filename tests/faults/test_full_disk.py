"""A disk that is full: what cannot be kept is refused with 507, what was acknowledged waits, and nothing is restarted.

The home of a real service lies on a file system of its own, which a ballast fills and frees.
"""

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexes.blobs import DirectoryBlobs, blob_key
from indexes.errors import NotFound, StorageFull
from indexes.room import require_room

MEBIBYTE = 1 << 20


class Disk:
    """A file system of 256 MB."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Fill it but for so much, or empty it again up to that."""
        with self._ballast.open("ab") as file:
            while True:
                state = os.statvfs(self.path)
                held, missing = os.fstat(file.fileno()).st_size, state.f_bavail * state.f_frsize - free_bytes
                if missing <= 0:  # at no moment there is more room than before, where there is to be less
                    os.truncate(file.fileno(), held + missing)
                    return
                with contextlib.suppress(OSError):  # the service was quicker to write
                    os.posix_fallocate(file.fileno(), held, missing)
                    return


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={256 * MEBIBYTE}", "tmpfs", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small file system")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def service(disk: Disk, service_class: Any) -> Iterator[Any]:
    """A service on that disk, which refuses uploads late, so that everything behind them meets the full disk too."""
    environment = {
        "CITEWELL_EMBEDDING__MODEL": "hashing-256",
        "CITEWELL_SERVER__MIN_FREE_BYTES": str(2 * MEBIBYTE),
        "CITEWELL_WORKER__RETRY_DELAY_S": "0.1",
        "CITEWELL_WORKER__LEASE_S": "2",
    }
    running = service_class(disk.path, environment)
    running.start()
    yield running
    running.kill()
    print(running.log()[-5000:])


@pytest.fixture
def client(service: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=30) as made:
        yield made


def upload(client: httpx.Client, name: str) -> httpx.Response:
    content = f"{name} says hello. {'word ' * 2000}".encode()
    return client.post("/files", data={"purpose": "assistants"}, files={"file": (name, content)})


def until(true: Callable[[], Any], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := true()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return value


def test_work_waits_for_room_and_needs_no_restart(service: Any, client: httpx.Client, disk: Disk) -> None:
    store = client.post("/vector_stores", json={"name": "s"}).json()["id"]

    def attach(file: str) -> httpx.Response:
        return client.post(f"/vector_stores/{store}/files", json={"file_id": file})

    def file_in_store(file: str) -> Any:
        return client.get(f"/vector_stores/{store}/files/{file}").json()

    def search() -> list[str]:
        reply = client.post(f"/vector_stores/{store}/search", json={"query": "who says hello?"})
        return sorted({hit["filename"] for hit in reply.raise_for_status().json()["data"]})

    first = upload(client, "first.md").json()["id"]
    attach(first).raise_for_status()
    until(lambda: file_in_store(first)["status"] == "completed")

    with contextlib.closing(sqlite3.connect(disk.path / "catalog.db")) as catalog, catalog:
        catalog.execute("UPDATE stores SET last_active_at = 0")  # the next search has a note to write, and cannot

    # Room for bytes and rows, none for vectors: a shard that cannot extend its files would take the process along.
    disk.leave(40 * MEBIBYTE)
    waiting = [upload(client, f"waiting{number}.md").raise_for_status().json()["id"] for number in range(3)]
    for file in waiting:
        attach(file).raise_for_status()
    postponed = until(lambda: (seen := file_in_store(waiting[0]))["error"] and seen)
    assert postponed["status"] == "in_progress"
    assert postponed["error"]["code"] == "insufficient_storage"

    # No room at all: not for the catalog, not for the queue server.
    for free_bytes in (MEBIBYTE, 0):
        disk.leave(free_bytes)
        refused = upload(client, "refused.md")
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "insufficient_storage")
        assert "more room" in refused.json()["error"]["message"]
    reply = client.post("/vector_stores", json={"name": "filler"})
    for _ in range(200):  # the catalog's log has some room of its own
        if reply.status_code != 200:
            break
        reply = client.post("/vector_stores", json={"name": "filler"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (507, "insufficient_storage")
    assert search() == ["first.md"]
    assert file_in_store(waiting[0])["status"] == "in_progress"
    time.sleep(2.5)  # longer than a lease: it ends while nothing can be written

    pid = service.pid
    disk.leave(200 * MEBIBYTE)
    until(lambda: client.get(f"/vector_stores/{store}").json()["file_counts"]["completed"] == 4)
    last = upload(client, "last.md").raise_for_status().json()["id"]
    attach(last).raise_for_status()
    until(lambda: file_in_store(last)["status"] == "completed")
    assert search() == ["first.md", "last.md", *(f"waiting{number}.md" for number in range(3))]
    assert {file["filename"] for file in client.get("/files").json()["data"]} == set(search())
    assert (service.pid, httpx.get(f"{service.url}/readyz").status_code) == (pid, 200)
    assert not list((disk.path / "blobs" / "incoming").iterdir())


def test_a_start_on_a_full_disk_waits_for_room(service: Any, client: httpx.Client, disk: Disk) -> None:
    store = client.post("/vector_stores", json={"name": "s"}).json()["id"]
    file = upload(client, "first.md").json()["id"]
    client.post(f"/vector_stores/{store}/files", json={"file_id": file}).raise_for_status()
    until(lambda: client.get(f"/vector_stores/{store}").json()["file_counts"]["completed"])
    service.kill()
    disk.leave(0)
    service.start()
    pid = service.pid
    refused = client.post(f"/vector_stores/{store}/search", json={"query": "hello"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "insufficient_storage")
    assert upload(client, "second.md").status_code == 507
    assert client.get(f"/files/{file}/content").status_code == 200
    disk.leave(200 * MEBIBYTE)
    assert client.post(f"/vector_stores/{store}/search", json={"query": "hello"}).json()["data"]
    assert upload(client, "second.md").status_code == 200
    assert service.pid == pid


def test_a_blob_that_finds_no_room_leaves_nothing(disk: Disk, tmp_path: Path) -> None:
    blobs = DirectoryBlobs(disk.path / "blobs")
    source = tmp_path / "elsewhere"
    source.write_bytes(bytes(MEBIBYTE))
    disk.leave(MEBIBYTE // 2)
    for keep in (lambda key: blobs.write(key, bytes(MEBIBYTE)), lambda key: blobs.add(source, key)):
        with pytest.raises(StorageFull):
            keep(blob_key("files", "abc"))
        with pytest.raises(NotFound):
            blobs.read(blob_key("files", "abc"))
    assert source.exists()
    assert not list(blobs.older("incoming", time.time() + 1))
    with pytest.raises(StorageFull, match="0 MB of disk left"):
        require_room(disk.path, MEBIBYTE)
    with contextlib.closing(blobs.stream(blob_key("files", "abc"))), pytest.raises(NotFound):
        blobs.path(blob_key("files", "abc"))
