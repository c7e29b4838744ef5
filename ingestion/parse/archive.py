"""Archives: zip, tar, and files or tars packed by gzip, bzip2 or xz. Their text is the list of what they hold.

`members` gives what is in one archive; `unpack` takes it out, with what is in archives inside it.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path, PurePath
from typing import IO

from indexes.errors import DocumentError
from indexes.model import BlockKind
from ingestion.parse.container import open_zip
from ingestion.parse.draft import Draft, Piece
from ingestion.parse.limits import Limits
from ingestion.parse.meter import CheckedReader, Meter, UnfoldsTooFar, damaged, refusing_damage
from ingestion.parse.part import Part, Parts, clean_name

_COMPRESSED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
_TAR_BLOCK_BYTES = 512
_UTF8_NAME = 0x800
# What operating systems leave behind in archives.
_LITTER_FOLDER = "__MACOSX/"
_LITTER = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))


def parse(path: Path, filename: str, limits: Limits) -> Draft:
    """One line a member: its name, and its size where the archive says it."""
    found: list[Part] = []
    warnings = []
    try:
        for part in members(path, filename, Meter(limits, path.stat().st_size)):
            found.append(part)  # noqa: PERF402 - what came before an error counts
    except UnfoldsTooFar:
        raise
    except DocumentError as error:
        if not found:
            raise
        warnings.append(f"Only the first {len(found)} members can be read. {error.message}")
    return Draft([_line(part) for part in found], metadata={"members": len(found)}, warnings=tuple(warnings))


def _line(part: Part) -> Piece:
    size = "" if part.size_bytes is None else f" ({part.size_bytes:,} bytes)"
    return Piece(part.name + size, BlockKind.LIST_ITEM)


def members(path: Path, filename: str, meter: Meter) -> Parts:
    """The files in the archive at `path`, once called `filename`; folders and links are left out.

    Raises DocumentError invalid_file or too_large, perhaps after some parts.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"PK"):
        found = _zipped(path, meter)
    else:
        source = next((opener(path) for mark, opener in _COMPRESSED.items() if head.startswith(mark)), None)
        stream = CheckedReader(source or path.open("rb"), meter)
        found = _streamed(io.BufferedReader(stream), filename)
    with refusing_damage(), closing(found):
        for part in found:
            if not part.name.startswith(_LITTER_FOLDER) and PurePath(part.name).name not in _LITTER:
                meter.take_member()
                yield part


def _zipped(path: Path, meter: Meter) -> Parts:
    with open_zip(path, meter.limits) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                opener = partial(_open_zipped, archive, member, meter)
                yield Part(clean_name(_zip_name(member)), opener, member.file_size)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The member's name; many programs write UTF-8 without saying so."""
    if member.flag_bits & _UTF8_NAME:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _open_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, meter: Meter) -> IO[bytes]:
    return io.BufferedReader(CheckedReader(archive.open(member), meter))


def _streamed(stream: io.BufferedReader, filename: str) -> Parts:
    """What one stream holds: a tar, or a single file that is named as the packed one without its suffix."""
    with stream:
        if stream.peek(_TAR_BLOCK_BYTES)[257:262] == b"ustar":
            yield from _tarred(stream)
        else:
            path = PurePath(filename)
            yield Part(clean_name(path.stem if path.suffix else "content"), lambda: stream)


def _tarred(stream: io.BufferedReader) -> Parts:
    """The ordinary files of a tar, read once from its beginning to its end."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # It would keep them all.
            if member.isreg() and not member.issparse():  # A sparse file is as long as it likes to say.
                yield Part(clean_name(member.name), partial(_open_tarred, archive, member), member.size)


def _open_tarred(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise damaged()
    return io.BufferedReader(CheckedReader(file))
