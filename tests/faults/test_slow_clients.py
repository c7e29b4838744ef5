"""Clients that do not keep up are cut off, and nobody else notices (I12). `make faults` uploads 200 MB and more."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psutil
import pytest

MEBIBYTE = 1 << 20
STALL_S = 1.0
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
TAIL = b'\r\n--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b--\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> Iterator[Any]:
    running = service_class(
        tmp_path_factory.mktemp("slow") / "home",
        {
            "CITEWELL_EMBEDDING__MODEL": "hashing-256",
            "CITEWELL_SERVER__STALL_S": str(STALL_S),
            "CITEWELL_SERVER__MAX_UPLOADS": "2",
            "CITEWELL_SERVER__MAX_EVENT_STREAMS": "1",
            "CITEWELL_SERVER__MAX_UPLOAD_BYTES": str(4096 * MEBIBYTE),
        },
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(service: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=120) as made:
        yield made


class Wire:
    """One connection, byte by byte."""

    def __init__(self, service: Any, start: str, length: int = 0, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", service.port))
        kind = MULTIPART["Content-Type"] if start.endswith("/files") else "application/json"
        head = f"{start} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.key}\r\nContent-Type: {kind}\r\n"
        self.socket.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())

    def close(self) -> None:
        self.socket.close()

    def reply(self) -> tuple[int, str]:
        """Status and error code, read until the server closes the connection."""
        data = b""
        while piece := self.socket.recv(65_536):
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        return int(head.split()[1]), json.loads(body)["error"]["code"]


@contextmanager
def stalled(service: Any, count: int) -> Iterator[None]:
    """So many uploads that have begun and do not go on, each from a client that tries again for ever."""
    stopping = threading.Event()

    def stall() -> None:
        while not stopping.is_set():
            with closing(Wire(service, "POST /v1/files", 10_000)) as wire:
                wire.socket.sendall(HEAD)
                wire.socket.recv(1)  # 408, or 429 where others hold all places

    threads = [threading.Thread(target=stall) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("start", ["POST /v1/files", "POST /v1/vector_stores"])
def test_a_body_that_stalls_is_408_and_the_connection_closed(service: Any, start: str) -> None:
    with closing(Wire(service, start, 10_000)) as wire:
        wire.socket.sendall(HEAD)
        assert wire.reply() == (408, "request_timeout")
    assert not list((service.home / "blobs" / "incoming").iterdir())


def test_a_body_that_trickles_is_408_although_it_never_stalls(service: Any) -> None:
    with closing(Wire(service, "POST /v1/files", 100_000)) as wire:
        wire.socket.sendall(HEAD)
        stopped = threading.Event()

        def trickle() -> None:
            while not stopped.wait(0.05):
                try:
                    wire.socket.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert wire.reply() == (408, "request_timeout")
        except ConnectionResetError:
            pass  # what it sent after the end came first
        finally:
            stopped.set()
            thread.join()
    assert "408" in service.log()


def test_uploads_are_bounded_and_everything_else_is_served(service: Any, client: httpx.Client) -> None:
    def upload() -> httpx.Response:
        return client.post("/files", data={"purpose": "assistants"}, files={"file": ("b.txt", b"text")})

    with stalled(service, 2):
        deadline = time.monotonic() + 30
        while (refused := upload()).status_code != 429:
            assert time.monotonic() < deadline, "two uploads were never held at once"
            time.sleep(0.02)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/files").status_code == 200
        assert client.post("/vector_stores", json={"name": "meanwhile"}).status_code == 200
    assert upload().status_code == 200


def test_a_client_that_leaves_in_the_middle_leaves_nothing(service: Any, client: httpx.Client) -> None:
    before = {file["id"] for file in client.get("/files", params={"limit": 100}).json()["data"]}
    with closing(Wire(service, "POST /v1/files", 3 * MEBIBYTE)) as wire:
        wire.socket.sendall(HEAD + bytes(2 * MEBIBYTE))
    deadline = time.monotonic() + 30
    while list((service.home / "blobs" / "incoming").iterdir()):
        assert time.monotonic() < deadline, "the half upload is kept"
        time.sleep(0.02)
    assert {file["id"] for file in client.get("/files", params={"limit": 100}).json()["data"]} == before
    assert "Traceback" not in service.log()


def test_a_reply_that_nobody_takes_is_cut_off(service: Any, client: httpx.Client) -> None:
    size_bytes = 32 * MEBIBYTE
    files = {"file": ("large.txt", bytes(size_bytes))}
    file = client.post("/files", data={"purpose": "assistants"}, files=files).json()["id"]
    with closing(Wire(service, f"GET /v1/files/{file}/content", receive_bytes=4096)) as wire:
        deadline = time.monotonic() + 30
        while "was not taken" not in service.log():
            assert time.monotonic() < deadline, "the service waits for a client that reads nothing"
            time.sleep(0.05)
        taken = 0
        while piece := wire.socket.recv(MEBIBYTE):
            taken += len(piece)
        assert taken < size_bytes
    assert len(client.get(f"/files/{file}/content").content) == size_bytes


def test_a_listener_that_leaves_makes_room_for_the_next(service: Any, client: httpx.Client) -> None:
    store = client.post("/vector_stores", json={"name": "watched"}).json()["id"]
    for _ in range(3):
        deadline = time.monotonic() + 30
        while True:
            with client.stream("GET", f"/vector_stores/{store}/events") as stream:
                if stream.status_code == 200:
                    assert next(stream.iter_lines()).startswith("event: vector_store.progress")
                    break
            assert stream.status_code == 429
            assert time.monotonic() < deadline, "the place of a listener who left is never free again"
            time.sleep(0.02)


@pytest.mark.slow
def test_an_upload_takes_constant_memory(service: Any, client: httpx.Client) -> None:
    size_bytes = int(os.environ.get("UPLOAD_MB", "200")) * MEBIBYTE
    piece = os.urandom(MEBIBYTE)

    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(size_bytes // MEBIBYTE):
            yield piece
        yield TAIL

    process = psutil.Process(service.pid)
    client.post("/files", data={"purpose": "assistants"}, files={"file": ("warm.txt", piece * 4)}).raise_for_status()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    made = client.post("/files", content=body(), headers=MULTIPART).raise_for_status().json()
    took_s = time.monotonic() - began
    done.set()
    watcher.join()
    grown_mb = (peak - before) / MEBIBYTE
    rate = size_bytes / MEBIBYTE / took_s
    print(f"{size_bytes // MEBIBYTE} MB uploaded at {rate:.0f} MB/s; memory of the service grew by {grown_mb:.1f} MB")
    assert made["bytes"] == size_bytes
    assert grown_mb < 50
    client.delete(f"/files/{made['id']}")
