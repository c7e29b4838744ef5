"""The blocks of an HTML tree: what a browser would put below each other."""

import re
from collections.abc import Iterator

from lxml import etree, html

from indexes.model import BlockKind
from ingestion.parse.draft import Piece
from ingestion.parse.tables import table

_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hgroup", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre"),
        *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_KINDS = {
    **dict.fromkeys(_HEADINGS, BlockKind.HEADING),
    **dict.fromkeys(("li", "dt", "dd"), BlockKind.LIST_ITEM),
    "pre": BlockKind.CODE,
}
_SPACE = re.compile(r"\s+")
# A cell may say that it spans thousands of columns or rows; no table for people does.
MAX_SPAN = 50


def blocks(root: html.HtmlElement) -> Iterator[Piece]:
    """The text below `root` in document order. Depth costs no stack."""
    text: list[str] = []
    around: list[str] = []  # The elements that decide the kind of what is inside them, innermost last.
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag in _BLOCKS:
            yield from _piece(text, around)
            text.clear()
        if event == "start":
            if tag in _KINDS:
                around.append(tag)
            if tag == "br":
                text.append("\n")
            if tag == "table":
                yield from _table(element)
                walker.skip_subtree()
            else:
                text.append(_shown(element.text, around))
            continue
        if tag in _KINDS:
            around.pop()
        if element is not root:
            text.append(_shown(element.tail, around))
    yield from _piece(text, around)


def _shown(text: str | None, around: list[str]) -> str:
    return (text or "") if "pre" in around else _SPACE.sub(" ", text or "")


def _piece(text: list[str], around: list[str]) -> Iterator[Piece]:
    joined = "".join(text)
    if not joined.strip():
        return
    # A heading or a listing inside a list item is one first.
    tag = next((tag for tag in reversed(around) if tag in _HEADINGS or tag == "pre"), around[-1] if around else "")
    yield Piece(joined, _KINDS.get(tag, BlockKind.PARAGRAPH), _HEADINGS.get(tag, 1))


def _table(element: html.HtmlElement) -> Iterator[Piece]:
    for caption in element.iterchildren("caption"):
        yield from blocks(caption)
    yield from table(_rows(element), heads=_heads(element))


def _heads(element: html.HtmlElement) -> int:
    """How many rows name the columns: those that the table says are its head, or else the first."""
    return max(1, len(element.xpath("./thead/tr")))


def _rows(element: html.HtmlElement) -> Iterator[list[str]]:
    """The cells of each row in their columns; a cell that spans rows is repeated, so that each row reads alone."""
    spanning: dict[int, tuple[str, int]] = {}
    for row in element.iter("tr"):
        line: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _repeat(spanning, line)
            text = " ".join(piece.text for piece in blocks(cell))
            if (rows := _span(cell, "rowspan")) > 1:
                spanning[len(line)] = text, rows - 1
            line += [text] + [""] * (_span(cell, "colspan") - 1)
        _repeat(spanning, line)
        yield line


def _repeat(spanning: dict[int, tuple[str, int]], line: list[str]) -> None:
    while held := spanning.pop(len(line), None):
        text, rows = held
        if rows > 1:
            spanning[len(line)] = text, rows - 1
        line.append(text)


def _span(cell: html.HtmlElement, name: str) -> int:
    stated = cell.get(name, "1").strip()
    return min(max(int(stated), 1), MAX_SPAN) if stated.isdecimal() else 1
