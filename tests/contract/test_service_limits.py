"""What is too much is refused at once, by its own status, with a sentence; what was accepted is kept (I12, I14)."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

MEBIBYTE = 1 << 20
FIELD_ALONE = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b--\r\n'


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> Iterator[Any]:
    """A service with small limits."""
    running = service_class(
        tmp_path_factory.mktemp("small") / "home",
        {
            "CITEWELL_EMBEDDING__MODEL": "hashing-256",
            "CITEWELL_SERVER__MAX_UPLOAD_BYTES": str(MEBIBYTE),
            "CITEWELL_SERVER__MAX_JSON_BYTES": "4096",
            "CITEWELL_SERVER__MAX_CONCURRENT_REQUESTS": "2",
        },
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(small: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {small.key}"}
    with httpx.Client(base_url=f"{small.url}/v1", headers=headers, timeout=60) as made:
        yield made


def upload(client: httpx.Client, content: Any, **arguments: Any) -> httpx.Response:
    return client.post("/files", data={"purpose": "assistants"}, files={"file": ("a.txt", content)}, **arguments)


def test_a_file_over_the_limit_is_refused_by_its_announced_length(client: httpx.Client) -> None:
    reply = upload(client, b"x" * (3 * MEBIBYTE))
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "file_too_large"
    assert str(MEBIBYTE) in reply.json()["error"]["message"]


def test_a_file_over_the_limit_is_refused_as_it_arrives(client: httpx.Client, small: Any) -> None:
    boundary = "b"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode()

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(64):
            yield b"x" * MEBIBYTE

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    reply = client.post("/files", content=body(), headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "file_too_large")
    assert not list((small.home / "blobs" / "incoming").iterdir())
    assert client.get("/files").json()["data"] == []


def test_a_body_that_never_ends_is_refused_whatever_it_is_made_of(client: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        yield FIELD_ALONE
        for _ in range(8):
            yield b"x" * MEBIBYTE

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = client.post("/files", content=body(), headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "file_too_large")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b"),
        (
            FIELD_ALONE.removesuffix(b"--b--\r\n")
            + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhalf a fi',
            "multipart/form-data; boundary=b",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
    ],
)
def test_an_upload_that_is_none_says_what_is_missing(client: httpx.Client, content: bytes, kind: str) -> None:
    reply = client.post("/files", content=content, headers={"Content-Type": kind})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    reply = client.post("/vector_stores", json={"name": "x", "description": "y" * 8192})
    assert reply.status_code == 413


def test_no_body_escapes_the_limit_by_what_it_calls_itself(client: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = client.post("/vector_stores", content=b"x" * 8192, headers=headers)
    assert reply.status_code == 413


def test_a_name_cannot_leave_its_folder(client: httpx.Client) -> None:
    made = client.post("/files", data={"purpose": "assistants"}, files={"file": ("../../etc/passwd", b"x")})
    assert made.json()["filename"] == "passwd"


def test_beyond_capacity_is_429_at_once_and_the_rest_completes(client: httpx.Client) -> None:
    store = client.post("/vector_stores", json={"name": "busy"}).json()["id"]
    file = upload(client, b"The answer is forty-two. " * 200).json()["id"]
    client.post(f"/vector_stores/{store}/files", json={"file_id": file})
    while client.get(f"/vector_stores/{store}").json()["status"] != "completed":
        time.sleep(0.05)

    def search(_: int) -> httpx.Response:
        return client.post(f"/vector_stores/{store}/search", json={"query": "What is the answer?"})

    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(search, range(200)))
    codes = {reply.status_code for reply in replies}
    assert codes <= {200, 429}
    assert 200 in codes
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused, "16 clients never met a limit of 2"
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


def test_metrics_of_health_need_no_key(small: Any) -> None:
    assert httpx.get(f"{small.url}/healthz").json() == {"status": "ok"}
    assert set(httpx.get(f"{small.url}/readyz").json().values()) == {"ok"}


def test_keys_are_told_apart(small: Any, make_key: Callable[[Any, str, str], str]) -> None:
    reader = make_key(small, "read", "default")
    other = make_key(small, "write", "another")
    headers = {"Authorization": f"Bearer {reader}"}
    assert httpx.get(f"{small.url}/v1/files", headers=headers).status_code == 200
    assert httpx.post(f"{small.url}/v1/vector_stores", headers=headers, json={}).status_code == 403
    theirs = {"Authorization": f"Bearer {other}"}
    assert httpx.get(f"{small.url}/v1/files", headers=theirs).json()["data"] == []
    assert httpx.get(f"{small.url}/v1/vector_stores", headers=theirs).json()["data"] == []
