"""OpenDocument text, sheets and slides (.odt, .ods, .odp), read from their XML. Source: OpenDocument 1.3, part 3."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from indexes.errors import DocumentError
from indexes.model import BlockKind
from ingestion.parse.container import open_zip, optional_xml, read_xml
from ingestion.parse.draft import Draft, Piece, attributes, heading
from ingestion.parse.limits import Limits
from ingestion.parse.markup import child, local, value
from ingestion.parse.tables import table

# Sheets repeat their last empty cell and row up to the edge of the grid.
MAX_REPEAT = 64
_LEFT_OUT = frozenset(
    ["annotation", "tracked-changes", "note-citation", "forms", "object", "desc", "title", "bookmark-ref"]
)
_STATED = {"title": "title", "subject": "subject", "creator": "author", "creation-date": "created", "date": "modified"}
_PLAIN = {"tab": "\t", "line-break": "\n"}


def parse(path: Path, limits: Limits) -> Draft:
    """Blocks in document order; a sheet is a heading and its table, a slide is a page."""
    with open_zip(path, limits) as archive:
        content = child(read_xml(archive, "content.xml"), "body")
        stated = _stated(archive)
    if content is None or not len(content):
        raise DocumentError("This OpenDocument file is damaged: it has no body. Save it again.")
    root = content[0]
    match local(root):
        case "spreadsheet":
            pieces = list(_sheets(root))
        case "presentation":
            pieces = list(_slides(root, limits))
        case _:
            pieces = list(_blocks(root))
    title = stated.pop("title", None)
    return Draft(pieces, title, attributes(**stated))


def _stated(archive: zipfile.ZipFile) -> dict[str, str]:
    stated = (element for part in optional_xml(archive, "meta.xml") for element in part.iter())
    return {_STATED[local(element)]: element.text for element in stated if element.text and local(element) in _STATED}


def _blocks(parent: etree._Element, kind: BlockKind = BlockKind.PARAGRAPH, page: int | None = None) -> Iterator[Piece]:
    for element in parent:
        match local(element):
            case "h":
                stated = value(element, "outline-level") or "1"
                yield heading("".join(_text(element)), int(stated) if stated.isdigit() else 1, page)
            case "p":
                yield Piece("".join(_text(element)), kind, page=page)
                for box in element.iter("{*}text-box"):
                    yield from _blocks(box, kind, page)
            case "list":
                yield from _blocks(element, BlockKind.LIST_ITEM, page)
            case "table":
                yield from table(_rows(element), page, heads=_heads(element))
            case name if name not in _LEFT_OUT:
                yield from _blocks(element, kind, page)


def _text(element: etree._Element) -> Iterator[str]:
    yield element.text or ""
    for each in element:
        name = local(each)
        if name == "s":
            yield " " * min(int(value(each, "c") or 1), MAX_REPEAT)
        elif name in _PLAIN:
            yield _PLAIN[name]
        elif name == "note":
            yield " (" + " ".join("".join(_text(p)) for p in each.iter("{*}p")) + ")"
        elif name not in _LEFT_OUT and name != "text-box":
            yield from _text(each)
        yield each.tail or ""


def _rows(element: etree._Element) -> Iterator[list[str]]:
    for row in element.iter("{*}table-row"):
        cells: list[str] = []
        for cell in row:
            if local(cell) not in ("table-cell", "covered-table-cell"):
                continue
            text = " ".join(piece.text for piece in _blocks(cell))
            cells += [text] * _repeat(cell, "number-columns-repeated", empty=not text)
        filled = any(map(str.strip, cells))
        yield from [cells] * _repeat(row, "number-rows-repeated", empty=not filled)


def _heads(element: etree._Element) -> int:
    """How many rows name the columns: those that the table says are its head, or else the first."""
    stated = child(element, "table-header-rows")
    return 1 if stated is None else max(1, len(stated))


def _repeat(element: etree._Element, name: str, *, empty: bool) -> int:
    stated = value(element, name) or "1"
    return min(int(stated) if stated.isdigit() else 1, 1 if empty and name.startswith("number-rows") else MAX_REPEAT)


def _sheets(root: etree._Element) -> Iterator[Piece]:
    for element in root:
        if local(element) == "table":
            rows = list(table(_rows(element), heads=_heads(element)))
            if rows:
                yield heading(value(element, "name") or "", 1)
            yield from rows


def _slides(root: etree._Element, limits: Limits) -> Iterator[Piece]:
    pages = [element for element in root if local(element) == "page"]
    for page, slide in enumerate(pages[: limits.max_pages], start=1):
        yield heading("", 1, page)
        for frame in slide:
            title = value(frame, "class") == "title"
            for piece in _blocks(frame, page=page):
                yield heading(piece.text, 1, page) if title else piece
