"""Word before 2007 (.doc): text of the piece table, without styles. Source: [MS-DOC], sections 2.4.1 and 2.9.177."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from indexes.errors import DocumentError
from ingestion.parse.container import encrypted
from ingestion.parse.draft import Draft, Piece, attributes
from ingestion.parse.limits import Limits
from ingestion.parse.ole import streams, summary
from ingestion.parse.tables import table

ENCRYPTED, SECOND_TABLE = 0x0100, 0x0200
WORD_97 = 0x00C1

_FIELD_CODE = re.compile("\x13[^\x13\x14\x15]*(\x14|(?=\x15))")  # What a field computes from; its result stays.
_MARKS = re.compile("[\x01-\x06\x08\x13-\x15]")


def parse(path: Path, limits: Limits) -> Draft:
    """Paragraphs and tables of a Word 6 to 2003 document; page and headings are not known."""
    main, table_0, table_1 = streams(path, "WordDocument", "0Table", "1Table")
    flags = struct.unpack_from("<H", main, 0x0A)[0]
    if flags & ENCRYPTED:
        raise encrypted("document")
    if struct.unpack_from("<H", main, 2)[0] >= WORD_97:
        text = _pieces_text(main, table_1 if flags & SECOND_TABLE else table_0)
    else:
        first, last = struct.unpack_from("<II", main, 0x18)
        text = main[first:last].decode("cp1252", "replace")
    stated = summary(path)
    title = stated.pop("title", None)
    return Draft(list(_blocks(text)), title, attributes(**stated))


def _pieces_text(main: bytes, table_stream: bytes) -> str:
    """Body, then footnotes and end notes; headers and comments are left out."""
    body, notes, headers, _, comments, ends = struct.unpack_from("<6i", main, 0x4C)
    clx = table_stream[slice(*_extent(main, 0x01A2))]
    text = "".join(_decode(main, *piece) for piece in _piece_table(clx))
    ends_at = body + notes + headers + comments
    return text[: body + notes] + text[ends_at : ends_at + ends]


def _extent(data: bytes, offset: int) -> tuple[int, int]:
    start, length = struct.unpack_from("<II", data, offset)
    return start, start + length


def _piece_table(clx: bytes) -> Iterator[tuple[int, int]]:
    """(number of characters, place and coding) of each piece, in order."""
    at = 0
    while at < len(clx) and clx[at] == 1:  # Property modifiers come before the table.
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at >= len(clx) or clx[at] != 2:
        raise DocumentError("This Word file is damaged: its text table is missing. Save it again.")
    size = struct.unpack_from("<I", clx, at + 1)[0]
    count = (size - 4) // 12
    positions = struct.unpack_from(f"<{count + 1}I", clx, at + 5)
    places_at = at + 5 + 4 * (count + 1)
    for index in range(count):
        place = struct.unpack_from("<I", clx, places_at + 8 * index + 2)[0]
        yield positions[index + 1] - positions[index], place


def _decode(main: bytes, length: int, place: int) -> str:
    if place & 0x40000000:
        start = (place & 0x3FFFFFFF) // 2
        return main[start : start + length].decode("cp1252", "replace")
    return main[place : place + 2 * length].decode("utf-16-le", "replace")


def _blocks(text: str) -> Iterator[Piece]:
    """Paragraphs end with a carriage return, cells with \\x07; a row ends with one more \\x07."""
    while (shorter := _FIELD_CODE.sub("", text)) != text:
        text = shorter
    text = _MARKS.sub("", text).replace("\x1e", "-").replace("\x1f", "")
    rows: list[list[str]] = []
    for run in re.split("(?<=\x07)(?=[^\x07]*\r)|\r|\x0c", text):
        if "\x07" in run:
            rows += [row.split("\x07") for row in run.rstrip("\x07").split("\x07\x07")]
            continue
        if rows:
            yield from table(rows)
            rows = []
        yield Piece(run)
    if rows:
        yield from table(rows)
