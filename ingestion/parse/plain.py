"""Plain text in its shapes: prose, reStructuredText, AsciiDoc, and sources (YAML, JSON, code), kept as they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from indexes.model import BlockKind
from ingestion.parse.draft import Draft, Piece, heading, table
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits

_BULLET = re.compile(r"\s*([-*+•▪‣◦]|\d{1,3}[.)]|[a-z][.)]|[*.]{2,5})\s+(?=\S)")
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")
_RST_LINE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_RST_DIRECTIVE = re.compile(r"\s*\.\. ([\w:-]+)::\s*(.*)")
_RST_ROLE = re.compile(r":[\w:-]+:`([^`<]+?)(?:\s*<[^>]*>)?`|`([^`<]+?)\s*<[^>]*>`__?|``([^`]+)``")
_ADOC_HEADING = re.compile(r"(={1,6})\s+(.*\S)")
_ADOC_DROPPED = re.compile(r"(//(?!/)|:[\w!-]+:|(include|image|video|audio|toc)::|\[.*\]$|ifn?def::|endif::)")
_ADOC_FENCES = ("----", "....", "```")


def parse_text(path: Path, limits: Limits) -> Draft:
    """Paragraphs between blank lines; runs of bullet lines become list items."""
    return Draft(list(paragraphs(decode(path.read_bytes()))))


def parse_source(path: Path, limits: Limits) -> Draft:
    """One code block per stretch between blank lines, spaces as they are."""
    text = decode(path.read_bytes()).replace("\r\n", "\n")
    return Draft([Piece(part, BlockKind.CODE) for part in _PARAGRAPHS.split(text)])


def parse_rst(path: Path, limits: Limits) -> Draft:
    """Headings by their underlines; directives are not followed, their content stays."""
    return Draft(list(_rst(decode(path.read_bytes()).replace("\r\n", "\n"))))


def parse_asciidoc(path: Path, limits: Limits) -> Draft:
    """Headings, listings and tables; includes and attributes are left out."""
    return Draft(list(_asciidoc(decode(path.read_bytes()).replace("\r\n", "\n").split("\n"))))


def paragraphs(text: str) -> Iterator[Piece]:
    """The paragraphs and list items of prose whose structure is only white space."""
    for part in _PARAGRAPHS.split(text.replace("\r\n", "\n").replace("\r", "\n")):
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


def _rst(text: str) -> Iterator[Piece]:
    levels: list[str] = []  # Which adornment means which level is decided by the order of first use.
    code = False
    for part in _PARAGRAPHS.split(text):
        lines = part.split("\n")
        if code and lines[0][:1] in (" ", "\t"):
            yield Piece(dedent(part), BlockKind.CODE)
            continue
        code = False
        if len(lines) > 2 and _RST_LINE.match(lines[0]) and _RST_LINE.match(lines[2]):
            lines = lines[1:]
        if len(lines) > 1 and _RST_LINE.match(lines[1]) and lines[0].strip():
            mark = lines[1][0]
            if mark not in levels:
                levels.append(mark)
            yield heading(lines[0], levels.index(mark) + 1)
            lines = lines[2:]
        if lines and (directive := _RST_DIRECTIVE.match(lines[0])):
            code = directive[1] in ("code", "code-block", "sourcecode", "parsed-literal")
            lines = [line for line in lines[1:] if not line.strip().startswith(":")]
            if directive[1] in ("note", "warning", "tip", "important", "seealso", "caution", "admonition"):
                lines.insert(0, directive[2])
        elif lines and lines[0].startswith(".. "):
            continue
        code = code or (bool(lines) and lines[-1].endswith("::"))
        plain = "\n".join(lines)
        yield from paragraphs(_RST_ROLE.sub(lambda match: match[1] or match[2] or match[3], plain))


def _asciidoc(lines: list[str]) -> Iterator[Piece]:
    waiting: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        title = _ADOC_HEADING.fullmatch(line)
        fence = line if line.startswith(_ADOC_FENCES) or line == "|===" else None
        if not (title or fence):
            if not _ADOC_DROPPED.match(line):
                waiting.append(line.removeprefix(".") if re.match(r"\.\w", line) else line)
            continue
        yield from paragraphs("\n".join(waiting))
        waiting = []
        if title:
            yield heading(title[2], len(title[1]))
            continue
        end = next((i for i in range(at, len(lines)) if lines[i].rstrip() == fence), len(lines))
        yield _asciidoc_block(lines[at:end], is_table=fence == "|===")
        at = end + 1
    yield from paragraphs("\n".join(waiting))


def _asciidoc_block(lines: list[str], *, is_table: bool) -> Piece:
    if is_table:
        return table(line.strip().strip("|").split("|") for line in lines if line.strip())
    return Piece("\n".join(lines), BlockKind.CODE)
