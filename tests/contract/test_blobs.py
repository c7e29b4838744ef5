"""Blobs keep bytes, in a directory and in S3 (a server that speaks its protocol, over HTTP)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from indexes.blobs import READ_BYTES, Blobs, blob_key, local_path, open_blobs
from indexes.errors import NotFound, Unavailable
from indexes.settings import BlobSettings


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3(endpoint: str, bucket: str) -> Blobs:
    secret = SecretStr("test")
    settings = BlobSettings(
        url=f"s3://{bucket}/prefix",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=secret,
        secret_access_key=secret,
    )
    return open_blobs(settings, Path("unused"))


@pytest.fixture(params=["directory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "directory":
        return open_blobs(BlobSettings(), tmp_path)
    import httpx

    endpoint = request.getfixturevalue("s3_endpoint")
    httpx.put(f"{endpoint}/documents").raise_for_status()
    return s3(endpoint, "documents")


def test_what_is_written_is_read(blobs: Blobs, tmp_path: Path) -> None:
    data = bytes(range(256)) * (READ_BYTES // 100)
    source = tmp_path / "source"
    source.write_bytes(data)
    key = blob_key("files", "abcdef")
    blobs.add(source, key)
    assert blobs.read(key) == data
    pieces = list(blobs.stream(key))
    assert b"".join(pieces) == data
    with local_path(blobs, key) as path:
        assert path.read_bytes() == data
    blobs.write(key, b"again")
    assert blobs.read(key) == b"again"


def test_what_is_deleted_is_gone(blobs: Blobs) -> None:
    key = blob_key("texts", "xyz")
    blobs.write(key, b"text")
    blobs.delete(key)
    blobs.delete(key)
    with pytest.raises(NotFound):
        blobs.read(key)
    with pytest.raises(NotFound):
        next(iter(blobs.stream(key)))


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), tmp_path)
    with pytest.raises(FileNotFoundError):
        blobs.add(tmp_path / "missing", blob_key("files", "abc"))
    with pytest.raises(NotFound):
        blobs.read(blob_key("files", "abc"))


def test_a_storage_that_refuses_is_unavailable(s3_endpoint: str) -> None:
    with pytest.raises(Unavailable):
        s3(s3_endpoint, "no-such-bucket").write(blob_key("files", "abc"), b"")
