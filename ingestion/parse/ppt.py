"""PowerPoint before 2007 (.ppt): the text of its records, slide by slide. Source: [MS-PPT], section 2.3 and 2.4.14."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from indexes.model import BlockKind
from ingestion.parse.container import encrypted
from ingestion.parse.draft import Draft, Piece, attributes, heading
from ingestion.parse.limits import Limits
from ingestion.parse.ole import streams, summary

SLIDE, SLIDE_LIST, SLIDE_PERSIST, CRYPT_SESSION = 0x03EE, 0x0FF0, 0x03F3, 0x2F14
TEXT_HEADER, TEXT_CHARS, TEXT_BYTES = 0x0F9F, 0x0FA0, 0x0FA8
TITLES = (0, 6)
MAX_DEPTH = 32
_ENCRYPTED_TOKEN = 0xF3D1C4DF


@dataclass(frozen=True, slots=True)
class _Record:
    kind: int
    instance: int
    container: bool
    body: bytes


def parse(path: Path, limits: Limits) -> Draft:
    """Slides in order: the outline text of each, then its text boxes. Notes are left out."""
    document, user = streams(path, "PowerPoint Document", "Current User")
    records = list(_records(document))
    token = struct.unpack_from("<I", user, 12)[0] if len(user) >= 16 else 0
    if token == _ENCRYPTED_TOKEN or any(record.kind == CRYPT_SESSION for record in records):
        raise encrypted("presentation")
    outlines = [texts for record in records for texts in _outline(record)]
    boxes = [list(_texts(_walk(record.body))) for record in records if record.kind == SLIDE]
    stated = summary(path)
    title = stated.pop("title", None)
    return Draft(list(_pieces(outlines, boxes)), title, attributes(**stated))


def _records(data: bytes) -> Iterator[_Record]:
    at = 0
    while at + 8 <= len(data):
        version, kind, size = struct.unpack_from("<HHI", data, at)
        yield _Record(kind, version >> 4, version & 0xF == 0xF, data[at + 8 : at + 8 + size])
        at += 8 + size


def _walk(data: bytes, depth: int = 0) -> Iterator[_Record]:
    for record in _records(data):
        yield record
        if record.container and depth < MAX_DEPTH:
            yield from _walk(record.body, depth + 1)


def _outline(document: _Record) -> Iterator[list[tuple[int, str]]]:
    """The texts of each slide that the document's slide list holds."""
    if not document.container:
        return
    for listing in _records(document.body):
        if listing.kind != SLIDE_LIST or listing.instance != 0:
            continue
        slide: list[_Record] | None = None
        for record in _records(listing.body):
            if record.kind == SLIDE_PERSIST:
                if slide is not None:
                    yield list(_texts(iter(slide)))
                slide = []
            elif slide is not None:
                slide.append(record)
        if slide is not None:
            yield list(_texts(iter(slide)))


def _texts(records: Iterator[_Record]) -> Iterator[tuple[int, str]]:
    kind = 4
    for record in records:
        if record.kind == TEXT_HEADER and len(record.body) >= 4:
            kind = struct.unpack_from("<I", record.body)[0]
        elif record.kind == TEXT_CHARS:
            yield kind, record.body.decode("utf-16-le", "replace")
        elif record.kind == TEXT_BYTES:
            yield kind, record.body.decode("latin-1")


def _pieces(outlines: list[list[tuple[int, str]]], boxes: list[list[tuple[int, str]]]) -> Iterator[Piece]:
    none: list[tuple[int, str]] = []
    for page, (outline, drawn) in enumerate(zip_longest(outlines, boxes, fillvalue=none), start=1):
        yield heading("", 1, page)
        for kind, text in outline + drawn:
            if kind in TITLES:
                yield heading(text, 1, page)
                continue
            for line in text.replace("\v", "\n").split("\r"):
                yield Piece(line, BlockKind.LIST_ITEM if kind == 1 else BlockKind.PARAGRAPH, page=page)
