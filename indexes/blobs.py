"""Bytes by key: uploaded files and canonical texts, in a directory or in S3-compatible storage.

Calls block. Keys are made by Citewell (`blob_key`), never by callers of the API, so they need no cleaning.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from indexes.errors import NotFound, Unavailable
from indexes.room import full_disks
from indexes.settings import BlobSettings

READ_BYTES = 1 << 20


class Blobs(Protocol):
    """Immutable bytes. A key belongs to one file for ever: bytes are not shared between files, so that deleting one
    can never take the bytes of another that is being uploaded at that moment."""

    def add(self, source: Path, key: str) -> None:
        """Keep the file's bytes under `key`; `source` may be moved away. Durable when it returns (I1)."""

    def write(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`. Durable when it returns."""

    def read(self, key: str) -> bytes:
        """All bytes. Raises NotFound."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB. Raises NotFound before the first."""

    def delete(self, key: str) -> None:
        """Forget the key; nothing happens if it is not there."""

    def older(self, area: str, than: float) -> Iterator[str]:
        """The keys of an area that were written before that time, seconds since 1970, in no order."""


def blob_key(area: str, name: str) -> str:
    """`area/ab/abcdef…`: two letters of fan-out keep directories small."""
    return f"{area}/{name[:2]}/{name}"


@contextmanager
def local_path(blobs: Blobs, key: str) -> Iterator[Path]:
    """A readable local file with the blob's bytes, for parsers that need one."""
    if isinstance(blobs, DirectoryBlobs):
        yield blobs.path(key)
        return
    with tempfile.TemporaryDirectory(prefix="citewell-") as folder:
        path = Path(folder) / "blob"
        with full_disks(), path.open("wb") as file:
            for piece in blobs.stream(key):
                file.write(piece)
        yield path


class DirectoryBlobs:
    """Blobs as files below one directory. A key appears whole or not at all: temporary name, sync, rename, sync."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where the bytes of `key` lie. Raises NotFound."""
        path = self._root / key
        if not path.is_file():
            raise _missing(key)
        return path

    def add(self, source: Path, key: str) -> None:
        if source.stat().st_dev == self._incoming.stat().st_dev:
            self._move(source, key)
            return
        with source.open("rb") as original, self._arriving(key) as file:
            shutil.copyfileobj(original, file, READ_BYTES)

    def write(self, key: str, data: bytes) -> None:
        with self._arriving(key) as file:
            file.write(data)

    @contextmanager
    def _arriving(self, key: str) -> Iterator[IO[bytes]]:
        """A file to write to; at the end of the block it is what lies under `key`."""
        with full_disks(), tempfile.NamedTemporaryFile(dir=self._incoming, prefix="upload-", delete=False) as file:
            try:
                yield file
                file.flush()
                self._move(Path(file.name), key)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _move(self, source: Path, key: str) -> None:
        target = self._root / key
        with full_disks():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(source)
            source.replace(target)
            for folder in (target.parent, target.parent.parent, self._root):
                _sync(folder)

    def read(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def stream(self, key: str) -> Iterator[bytes]:
        with self.path(key).open("rb") as file:
            while piece := file.read(READ_BYTES):
                yield piece

    def delete(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def older(self, area: str, than: float) -> Iterator[str]:
        for folder, _, names in os.walk(self._root / area):
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):  # deleted at this moment
                    if path.stat().st_mtime < than:
                        yield path.relative_to(self._root).as_posix()


class S3Blobs:
    """Blobs as objects of one bucket, under a prefix. S3 acknowledges a put once it is durable."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def add(self, source: Path, key: str) -> None:
        with _storage_errors():
            self._store.put(key, source)

    def write(self, key: str, data: bytes) -> None:
        with _storage_errors():
            self._store.put(key, data)

    def read(self, key: str) -> bytes:
        with _storage_errors(missing=key):
            return bytes(self._store.get(key).bytes())

    def stream(self, key: str) -> Iterator[bytes]:
        with _storage_errors(missing=key):
            for piece in self._store.get(key).stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)

    def delete(self, key: str) -> None:
        with _storage_errors(), suppress(FileNotFoundError):
            self._store.delete(key)

    def older(self, area: str, than: float) -> Iterator[str]:
        with _storage_errors():
            for page in self._store.list(f"{area}/"):
                yield from (one["path"] for one in page if one["last_modified"].timestamp() < than)


def open_blobs(settings: BlobSettings, home: Path) -> DirectoryBlobs | S3Blobs:
    """The blob storage that the settings name."""
    url = settings.url or str(home / "blobs")
    if not url.startswith("s3://"):
        return DirectoryBlobs(Path(url.removeprefix("file://")).expanduser())
    parts = urlsplit(url)
    options = {
        "endpoint": settings.endpoint,
        "region": settings.region,
        "access_key_id": settings.access_key_id and settings.access_key_id.get_secret_value(),
        "secret_access_key": settings.secret_access_key and settings.secret_access_key.get_secret_value(),
    }
    given = {name: value for name, value in options.items() if value}
    client = {"allow_http": True} if (settings.endpoint or "").startswith("http://") else {}
    return S3Blobs(S3Store(parts.netloc, prefix=parts.path.strip("/") or None, client_options=client, **given))


@contextmanager
def _storage_errors(missing: str | None = None) -> Iterator[None]:
    """`missing` is the key that is read; when nothing is read, what is not found is the bucket itself."""
    try:
        yield
    except (FileNotFoundError, BaseError) as error:
        if missing is not None and isinstance(error, FileNotFoundError):
            raise _missing(missing) from error
        raise Unavailable(f"The blob storage did not answer: {error}. Try again.") from error


def _missing(key: str) -> NotFound:
    return NotFound(f"The stored bytes {key} are missing. Upload the file again.", code="blob_missing")


def _sync(path: Path) -> None:
    """Push a file or a directory entry to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
