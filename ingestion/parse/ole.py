"""Compound files (OLE2), the container of Office before 2007 and of Outlook messages."""

import struct
from collections.abc import Iterator
from pathlib import Path

import olefile

from indexes.errors import DocumentError
from ingestion.parse.container import encrypted

_KINDS = {
    "WordDocument": "application/msword",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
_LOCKED = ("EncryptedPackage", "\x09DRMContent", "EncryptedSummary")
_CODE_PAGE, _STATED = 1, {"title": 2, "subject": 3, "author": 4}
_SHORT, _BYTES, _UNICODE = 2, 30, 31
MAX_PROPERTIES = 100


def kind(path: Path) -> str:
    """The media type of the document in the compound file at `path`.

    Raises DocumentError: encrypted_file, unsupported_file, invalid_file.
    """
    try:
        with olefile.OleFileIO(path) as container:
            if any(container.exists(name) for name in _LOCKED):
                raise encrypted("document")
            for stream, media_type in _KINDS.items():
                if container.exists(stream):
                    return media_type
    except (OSError, ValueError, IndexError) as error:
        raise DocumentError("This Office file is damaged and cannot be opened. Save it again.") from error
    raise DocumentError("This kind of Office file cannot be read. Save it as PDF.", code="unsupported_file")


def streams(path: Path, *names: str) -> tuple[bytes, ...]:
    """The contents of the named streams of the compound file at `path`; empty bytes for one that is missing."""
    with olefile.OleFileIO(path) as container:
        return tuple(container.openstream(name).read() if container.exists(name) else b"" for name in names)


def summary(path: Path) -> dict[str, str]:
    """Title, author and subject as a compound file states them; only those that are present and can be read."""
    (data,) = streams(path, "\x05SummaryInformation")
    try:
        stated = dict(_properties(data))
    except struct.error:  # The text can be read all the same.
        return {}
    page = stated.get(_CODE_PAGE)
    encoding = f"cp{page}" if isinstance(page, int) and page > 0 else "cp1252"
    found = {name: _text(stated.get(ident), encoding) for name, ident in _STATED.items()}
    return {name: text for name, text in found.items() if text}


def _properties(data: bytes) -> Iterator[tuple[int, int | bytes | str]]:
    """The numbers and texts of a property set by their ids. Source: [MS-OLEPS], sections 2.20 and 2.21.

    olefile reads these too, but takes minutes over a set that claims to hold billions of properties.
    """
    start = struct.unpack_from("<I", data, 44)[0]
    count = struct.unpack_from("<I", data, start + 4)[0]
    for index in range(min(count, MAX_PROPERTIES)):
        ident, offset = struct.unpack_from("<II", data, start + 8 + 8 * index)
        kind, size = struct.unpack_from("<II", data, start + offset)
        value_at = start + offset + 8
        if kind == _SHORT:
            yield ident, size & 0xFFFF
        elif kind == _BYTES:
            yield ident, data[value_at : value_at + size]
        elif kind == _UNICODE:
            yield ident, data[value_at : value_at + 2 * size].decode("utf-16-le", "replace")


def _text(value: int | bytes | str | None, encoding: str) -> str:
    match value:
        case bytes():
            try:
                text = value.decode("utf-8" if encoding == "cp65001" else encoding, "replace")
            except LookupError:
                text = value.decode("latin-1")
        case str():
            text = value
        case _:
            text = ""
    return text.strip("\0 ")
