"""Word documents (.docx, .docm; transitional and strict), read from their XML.

Elements are told apart by local name, because the strict form has other namespaces. Deleted text, field codes,
comments, page headers and footers are left out; foot notes follow the paragraph that refers to them.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lxml import etree

from indexes.model import AttributeValue, BlockKind
from ingestion.parse.container import open_zip, optional_xml, read_xml
from ingestion.parse.draft import Draft, Piece, attributes
from ingestion.parse.formula import linear
from ingestion.parse.limits import Limits
from ingestion.parse.markup import child, local, value
from ingestion.parse.tables import table

_LEFT_OUT = frozenset(
    ["del", "moveFrom", "delText", "instrText", "pPr", "rPr", "Fallback", "sdtPr", "sectPr", "annotation", "drawingML"]
)
_PLAIN = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}


def parse(path: Path, limits: Limits) -> Draft:
    """Blocks in document order. Pages are those of the last time that Word laid the document out, if it says so."""
    with open_zip(path, limits) as archive:
        main = main_part(archive, "word/document.xml")
        folder = PurePosixPath(main).parent
        reader = _Reader(_styles(archive, f"{folder}/styles.xml"), _notes(archive, folder))
        body = child(read_xml(archive, main), "body")
        if body is not None and next(body.iter("{*}lastRenderedPageBreak"), None) is not None:
            reader.page = 1
        pieces = list(reader.blocks(body)) if body is not None else []
        metadata = core_properties(archive)
    title = metadata.pop("title", None)
    hidden = "in runs of letters that Word hides" if body is not None and _has_hidden(body) else ""
    return Draft(pieces, str(title) if title else None, metadata, hidden=hidden)


def _has_hidden(body: etree._Element) -> bool:
    return any(
        local(mark.getparent().getparent()) == "r" and value(mark, "val") not in ("0", "false", "off")
        for mark in body.iter("{*}vanish")
    )


def main_part(archive: zipfile.ZipFile, default: str) -> str:
    """The name of the part that the package's relationships call the document."""
    for relation in optional_xml(archive, "_rels/.rels"):
        target = str(relation.get("Target", "")).lstrip("/")
        if relation.get("Type", "").endswith("/officeDocument") and target in archive.namelist():
            return target
    return default


def core_properties(archive: zipfile.ZipFile) -> dict[str, AttributeValue]:
    """Title, author, subject, keywords and dates as an Office package states them."""
    stated = {local(element): element.text for element in optional_xml(archive, "docProps/core.xml")}
    return attributes(
        title=stated.get("title"),
        author=stated.get("creator"),
        subject=stated.get("subject"),
        keywords=stated.get("keywords"),
        created=stated.get("created"),
        modified=stated.get("modified"),
    )


@dataclass(frozen=True, slots=True)
class _Style:
    level: int | None  # of a heading, counted from 0 for the document title
    listed: bool


def _styles(archive: zipfile.ZipFile, name: str) -> dict[str, _Style]:
    elements = {value(style, "styleId"): style for style in optional_xml(archive, name) if local(style) == "style"}
    return {identity: _style(elements, identity) for identity in elements if identity}


def _style(elements: dict[str | None, etree._Element], identity: str) -> _Style:
    """The style with what it inherits from the styles it is based on."""
    level, listed = None, False
    seen: set[str] = set()
    while identity in elements and identity not in seen:
        seen.add(identity)
        element = elements[identity]
        name = (value(child(element, "name"), "val") or "").lower()
        properties = child(element, "pPr")
        if level is None:
            level = 0 if name == "title" else _outline_level(properties)
        if level is None and name.startswith("heading ") and name[8:].isdigit():
            level = int(name[8:])
        listed = listed or name.startswith("list") or child(properties, "numPr") is not None
        identity = value(child(element, "basedOn"), "val") or ""
    return _Style(level, listed)


def _outline_level(properties: etree._Element | None) -> int | None:
    stated = value(child(properties, "outlineLvl"), "val")
    return int(stated) + 1 if stated and stated.isdigit() and int(stated) < 9 else None


def _notes(archive: zipfile.ZipFile, folder: PurePosixPath) -> dict[tuple[str, str], etree._Element]:
    found = {}
    for kind in ("footnote", "endnote"):
        if f"{folder}/{kind}s.xml" in archive.namelist():
            for note in read_xml(archive, f"{folder}/{kind}s.xml"):
                if value(note, "type") is None:  # Typed notes are separator lines.
                    found[kind, value(note, "id") or ""] = note
    return found


@dataclass(slots=True)
class _Reader:
    """Walks the body. `page` stays None in a document that was never laid out."""

    styles: dict[str, _Style]
    notes: dict[tuple[str, str], etree._Element]
    page: int | None = None
    _aside: list[Piece] = field(default_factory=list)  # Text boxes and notes met inside the current paragraph.

    def blocks(self, parent: etree._Element) -> Iterator[Piece]:
        for element in parent:
            match local(element):
                case "p":
                    yield from self._paragraph(element)
                case "tbl":
                    yield from self._table(element)
                case name if name not in _LEFT_OUT:
                    yield from self.blocks(element)

    def _paragraph(self, element: etree._Element) -> Iterator[Piece]:
        outer, self._aside = self._aside, []
        text = "".join(self._text(element))
        # A paragraph that begins with a page break lies on the new page.
        page = self.page if self.page is None or not text.startswith("\f") else self.page - text.strip().count("\f")
        yield self._piece(child(element, "pPr"), text.replace("\f", ""), page)
        aside, self._aside = self._aside, outer
        yield from aside

    def _piece(self, properties: etree._Element | None, text: str, page: int | None) -> Piece:
        style = self.styles.get(value(child(properties, "pStyle"), "val") or "", _Style(None, False))
        level = _outline_level(properties)
        level = style.level if level is None else level
        if level is not None and len(text) <= 300:
            return Piece(text, BlockKind.HEADING, level, page)
        listed = style.listed or child(properties, "numPr") is not None
        return Piece(text, BlockKind.LIST_ITEM if listed else BlockKind.PARAGRAPH, page=page)

    def _text(self, parent: etree._Element) -> Iterator[str]:
        for element in parent:
            name = local(element)
            if name == "t":
                yield element.text or ""
            elif name in _PLAIN:
                yield _PLAIN[name]
            elif name == "lastRenderedPageBreak" and self.page is not None:
                self.page += 1
                yield "\f"
            elif name == "oMath":
                yield linear(element)
            elif name == "txbxContent":
                self._aside += self.blocks(element)
            elif name in ("footnoteReference", "endnoteReference"):
                note = self.notes.get((name.removesuffix("Reference"), value(element, "id") or ""))
                self._aside += self.blocks(note) if note is not None else ()
            elif name not in _LEFT_OUT:
                yield from self._text(element)

    def _table(self, element: etree._Element) -> Iterator[Piece]:
        page = self.page
        rows = [list(_cells(row)) for row in element.iter("{*}tr") if _owner(row) is element]
        if max(map(len, rows), default=0) <= 1:  # A frame around text, not a table.
            for row in rows:
                for cell in row:
                    yield from self.blocks(cell)
            return
        above: dict[int, str] = {}
        heads = sum(1 for row in element.iter("{*}tblHeader") if _owner(row) is element)
        yield from table([self._row(row, above) for row in rows], page, heads=max(heads, 1))

    def _row(self, cells: list[etree._Element], above: dict[int, str]) -> list[str]:
        """The texts of one row, each in its grid column; a cell merged with the one above repeats its text."""
        line: list[str] = [""] * _number(child(child(_owner(cells[0], "tr"), "trPr"), "gridBefore")) if cells else []
        for cell in cells:
            column = len(line)
            merge = child(child(cell, "tcPr"), "vMerge")
            if merge is None or value(merge, "val") == "restart":
                above[column] = " ".join(piece.text.replace(" | ", ", ") for piece in self.blocks(cell))
            spanned = max(_number(child(child(cell, "tcPr"), "gridSpan")), 1)
            line += [above.get(column, "")] + [""] * (spanned - 1)
        return line


def _number(element: etree._Element | None) -> int:
    """The whole number that `element` states, within the 63 columns that Word allows."""
    stated = value(element, "val") or ""
    return min(int(stated), 63) if stated.isdigit() else 0


def _cells(row: etree._Element) -> Iterator[etree._Element]:
    return (cell for cell in row.iter("{*}tc") if _owner(cell, "tr") is row)


def _owner(element: etree._Element, name: str = "tbl") -> etree._Element | None:
    """The nearest `name` around `element`; content controls may lie between."""
    return next((around for around in element.iterancestors() if local(around) == name), None)
