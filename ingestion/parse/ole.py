"""Compound files (OLE2), the container of Office before 2007 and of Outlook messages."""

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
    """Title, author and subject as a compound file states them; only those that are present."""
    with olefile.OleFileIO(path) as container:
        properties = container.get_metadata()
        encoding = f"cp{properties.codepage}" if (properties.codepage or 0) > 0 else "cp1252"
        found = {}
        for name in ("title", "author", "subject"):
            value = getattr(properties, name)
            if isinstance(value, bytes):
                value = _text(value, encoding)
            if value:
                found[name] = value
        return found


def _text(value: bytes, encoding: str) -> str:
    try:
        return value.decode("utf-8" if encoding == "cp65001" else encoding, "replace").strip("\0 ")
    except LookupError:
        return value.decode("latin-1").strip("\0 ")
