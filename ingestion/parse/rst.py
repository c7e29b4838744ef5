"""reStructuredText, read by its looks. Directives are not followed: no file is included, no code is run."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

from indexes.model import BlockKind
from ingestion.parse.draft import Draft, Piece, heading
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.plain import BLANK_LINES, paragraphs

_ADORNMENT = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\s*\.\. ([\w:-]+)::\s*(.*)")
_ROLE = re.compile(r":[\w:-]+:`([^`<]+?)(?:\s*<[^>]*>)?`|`([^`<]+?)\s*<[^>]*>`__?|``([^`]+)``")
_LISTINGS = frozenset(("code", "code-block", "sourcecode", "parsed-literal"))
_NOTES = frozenset(("note", "warning", "tip", "important", "seealso", "caution", "admonition"))


def parse(path: Path, limits: Limits) -> Draft:
    """Headings by their underlines, listings whole, notes and prose as paragraphs."""
    return Draft(list(_pieces(BLANK_LINES.split(decode(path.read_bytes()).replace("\r\n", "\n")))))


def _pieces(parts: list[str]) -> Iterator[Piece]:
    marks: list[str] = []  # Which adornment means which level is decided by the order of first use.
    at = 0
    while at < len(parts):
        lines = parts[at].split("\n")
        at += 1
        if title := _title(lines):
            text, mark, lines = title
            if mark not in marks:
                marks.append(mark)
            yield heading(text, marks.index(mark) + 1)
        lines, listing = _directive(lines)
        prose = _ROLE.sub(lambda match: match[1] or match[2] or match[3], "\n".join(lines))
        yield from paragraphs(prose)
        if listing or prose.endswith("::"):
            indented = list(takewhile(lambda part: part[:1] in (" ", "\t"), parts[at:]))
            at += len(indented)
            yield Piece(dedent("\n\n".join(indented)), BlockKind.CODE)


def _title(lines: list[str]) -> tuple[str, str, list[str]] | None:
    """The title that `lines` begin with, its adornment, and the lines after it."""
    if len(lines) > 2 and _ADORNMENT.match(lines[0]) and _ADORNMENT.match(lines[2]):
        lines = lines[1:]
    if len(lines) > 1 and lines[0].strip() and _ADORNMENT.match(lines[1]):
        return lines[0], lines[1][0], lines[2:]
    return None


def _directive(lines: list[str]) -> tuple[list[str], bool]:
    """What a reader sees of a directive or comment at the start of `lines`, and whether it opens a listing."""
    if not lines or not lines[0].lstrip().startswith(".. "):
        return lines, False
    directive = _DIRECTIVE.match(lines[0])
    if directive is None:
        return [], False
    content = [line for line in lines[1:] if not line.strip().startswith(":")]
    return [directive[2], *content] if directive[1] in _NOTES else content, directive[1] in _LISTINGS
