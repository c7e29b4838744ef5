"""Multipart uploads that stream to disk: a file of any size takes a constant amount of memory."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from indexes.errors import InvalidRequest, StorageFull, TooLarge
from indexes.room import full_disks, require_room
from ingestion.threads import to_its_end

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

_FIELD_BYTES = 64 * 1024
_FIELDS = 16
_OVERHEAD_BYTES = 1 << 20
"""What a multipart body may hold beside the file itself."""
_LINGER_S = 30.0
_WRITE_BYTES = 1 << 20
"""Hashed and written at a time, in a thread: a disk that is behind must not stop the event loop."""


@dataclass(slots=True)
class Received:
    """The one file of a multipart body, in a temporary file that is synced later, and the fields beside it."""

    path: Path
    filename: str | None = None
    bytes: int = 0
    sha256: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The largest file, and what must be left on the disk beside it."""

    max_bytes: int
    min_free_bytes: int


@asynccontextmanager
async def received(request: Request, folder: Path, limits: UploadLimits) -> AsyncIterator[Received]:
    """Read the body. The temporary file, in `folder`, is removed at the end unless it was moved away.

    Raises TooLarge and StorageFull past the limits, and InvalidRequest where the body is not multipart or is cut off.
    """
    try:
        _check_announced(request, folder, limits)
    except (TooLarge, StorageFull):
        await _linger(request)
        raise
    with full_disks(), tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
        reading = _Reading(file, Received(Path(file.name)), limits)
        try:
            await _read(request, reading)
            yield reading.finished()
        finally:
            await asyncio.to_thread(reading.result.path.unlink, missing_ok=True)


def _check_announced(request: Request, folder: Path, limits: UploadLimits) -> None:
    announced = request.headers.get("content-length", "")
    coming_bytes = int(announced) if announced.isdecimal() else 0
    if coming_bytes > limits.max_bytes + _OVERHEAD_BYTES:
        raise _too_large(limits.max_bytes)
    require_room(folder, coming_bytes + limits.min_free_bytes)


async def _read(request: Request, reading: "_Reading") -> None:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise InvalidRequest(
            "Send the file as multipart/form-data with the fields `file` and `purpose`.", code="invalid_body"
        )
    try:
        parser = MultipartParser(options[b"boundary"], reading.callbacks())
        async for piece in request.stream():
            parser.write(piece)
            reading.count(piece)
            if len(reading.unwritten) >= _WRITE_BYTES:
                await to_its_end(reading.write)
        parser.finalize()
        await to_its_end(reading.write)
    except (FormParserError, ClientDisconnect) as error:
        raise InvalidRequest(
            f"The multipart body cannot be read: {error}. Send it again.", code="invalid_body"
        ) from error
    except (TooLarge, StorageFull):
        await _linger(request)
        raise


async def _linger(request: Request) -> None:
    """Read the rest and throw it away, for a while: many clients look at the reply only after they sent everything."""
    if "expect" in request.headers:
        return  # this client waits for our word before it sends anything
    try:
        async with asyncio.timeout(_LINGER_S):
            async for _ in request.stream():
                pass
    except (TimeoutError, RuntimeError, ClientDisconnect, HTTPException):
        return  # it took too long, was read to its end before, left, or stalled


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"The file is larger than {max_bytes} bytes, the limit of this service. Split it, or ask the operator to raise "
        "server.max_upload_bytes.",
        code="file_too_large",
        param="file",
    )


class _Reading:
    """The state of one multipart body: which part is being read, and where its bytes go."""

    def __init__(self, file: IO[bytes], result: Received, limits: UploadLimits) -> None:
        self.result = result
        self.unwritten = bytearray()
        self._file = file
        self._limits = limits
        self._body_bytes = 0
        self._hash = hashlib.sha256()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._ended = False

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def count(self, piece: bytes) -> None:
        """Raises TooLarge for a body that goes on and on, whatever it is made of."""
        self._body_bytes += len(piece)
        if self._body_bytes > self._limits.max_bytes + _OVERHEAD_BYTES:
            raise _too_large(self._limits.max_bytes)

    def write(self) -> None:
        """Hash and write what has come in. Blocks. Raises StorageFull."""
        data, self.unwritten = self.unwritten, bytearray()
        require_room(self.result.path.parent, len(data) + self._limits.min_free_bytes)
        self._hash.update(data)
        with full_disks():
            self._file.write(data)
            self._file.flush()

    def finished(self) -> Received:
        """The result. Raises InvalidRequest where no file came, or not all of the body."""
        if self.result.filename is None:
            raise InvalidRequest("`file` is missing. Add it as a part with a file name.", param="file")
        if not self._ended:
            raise InvalidRequest(
                "The multipart body ends before its closing boundary. Send it again.", code="invalid_body"
            )
        self.result.sha256 = self._hash.hexdigest()
        return self.result

    def _part_begin(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            self._check_field()
            return
        if self._name != "file" or self.result.filename is not None:
            raise InvalidRequest("One file is taken at a time, as the field `file`.", param=self._name or "file")
        self.result.filename = options[b"filename"].decode("utf-8", "replace")

    def _check_field(self) -> None:
        if len(self.result.fields) >= _FIELDS:
            raise InvalidRequest(f"An upload has at most {_FIELDS} fields beside the file.", param=self._name)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if not self._is_file:
            self._value.extend(piece)
            if len(self._value) > _FIELD_BYTES:
                raise InvalidRequest(f"`{self._name}` is too long.", param=self._name)
            return
        self.result.bytes += len(piece)
        if self.result.bytes > self._limits.max_bytes:
            raise _too_large(self._limits.max_bytes)
        self.unwritten += piece

    def _end(self) -> None:
        self._ended = True

    def _part_end(self) -> None:
        if not self._is_file:
            self.result.fields[self._name] = self._value.decode("utf-8", "replace")
