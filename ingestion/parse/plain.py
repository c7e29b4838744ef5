"""Plain text: prose, and sources (YAML, JSON, code), which are kept as they are."""

import re
from collections.abc import Iterator
from pathlib import Path

from indexes.model import BlockKind
from ingestion.parse.draft import Draft, Piece
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits

_BULLET = re.compile(r"\s*([-*+•▪‣◦]|\d{1,3}[.)]|[a-z][.)]|[*.]{2,5})\s+(?=\S)")
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def parse_text(path: Path, limits: Limits) -> Draft:
    """Paragraphs between blank lines; runs of bullet lines become list items."""
    return Draft(list(paragraphs(decode(path.read_bytes()))))


def parse_source(path: Path, limits: Limits) -> Draft:
    """One code block per stretch between blank lines, spaces as they are."""
    text = decode(path.read_bytes()).replace("\r\n", "\n")
    return Draft([Piece(part, BlockKind.CODE) for part in BLANK_LINES.split(text)])


def paragraphs(text: str) -> Iterator[Piece]:
    """The paragraphs and list items of prose whose structure is only white space."""
    for part in BLANK_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        part = part.strip("\n")
        lines = part.split("\n")
        if not _BULLET.match(lines[0]):
            yield Piece(part)
            continue
        item = [lines[0]]
        for line in lines[1:]:
            if _BULLET.match(line):
                yield Piece("\n".join(item), BlockKind.LIST_ITEM)
                item = []
            item.append(line)
        yield Piece("\n".join(item), BlockKind.LIST_ITEM)
