"""AsciiDoc, read by its looks: headings, listings and tables. Nothing is included."""

import re
from collections.abc import Iterator
from pathlib import Path

from indexes.model import BlockKind
from ingestion.parse.draft import Draft, Piece, heading
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.plain import paragraphs
from ingestion.parse.tables import table

_HEADING = re.compile(r"(={1,6})\s+(.*\S)")
_DROPPED = re.compile(r"(//(?!/)|:[\w!-]+:|(include|image|video|audio|toc)::|\[.*\]$|ifn?def::|endif::)")
_CAPTION = re.compile(r"\.(?=\w)")
_FENCES = ("----", "....", "```")


def parse(path: Path, limits: Limits) -> Draft:
    """Headings, paragraphs, list items, listings and tables; attributes, macros and comments are left out."""
    return Draft(list(_pieces(decode(path.read_bytes()).replace("\r\n", "\n").split("\n"))))


def _pieces(lines: list[str]) -> Iterator[Piece]:
    waiting: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        title = _HEADING.fullmatch(line)
        fence = line if line.startswith(_FENCES) or line == "|===" else None
        if not (title or fence):
            if not _DROPPED.match(line):
                waiting.append(_CAPTION.sub("", line, count=1))
            continue
        yield from paragraphs("\n".join(waiting))
        waiting = []
        if title:
            yield heading(title[2], len(title[1]))
            continue
        end = next((i for i in range(at, len(lines)) if lines[i].rstrip() == fence), len(lines))
        yield from _block(lines[at:end], is_table=fence == "|===")
        at = end + 1
    yield from paragraphs("\n".join(waiting))


def _block(lines: list[str], *, is_table: bool) -> Iterator[Piece]:
    if is_table:
        return table(line.strip().strip("|").split("|") for line in lines if line.strip())
    return iter((Piece("\n".join(lines), BlockKind.CODE),))
