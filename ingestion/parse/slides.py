"""Presentations (.pptx, .pptm), by `unstructured`: each slide is a page.

`unstructured` also guesses titles from English grammar, with a spaCy model that it downloads when it is missing, and
reports its use over the network. Neither happens: its grammar is replaced by white space before the rest of it is
imported, and only what the file says of its structure is used.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import html

from indexes.model import BlockKind
from ingestion.parse.container import open_zip
from ingestion.parse.draft import Draft, Piece, heading, listed
from ingestion.parse.limits import Limits
from ingestion.parse.tables import table
from ingestion.parse.word import core_properties

if TYPE_CHECKING:
    from unstructured.documents.elements import Element

_LEFT_OUT = frozenset(("PageBreak", "PageNumber", "Header", "Footer"))


def parse(path: Path, limits: Limits) -> Draft:
    """Slide by slide: the title as a heading, the other shapes from top to bottom, tables, then the speaker's notes."""
    with open_zip(path, limits) as archive:
        metadata = core_properties(archive)
    title = metadata.pop("title", None)
    _silence()
    from unstructured.partition.pptx import partition_pptx

    found = partition_pptx(str(path), languages=[""], infer_table_structure=True, include_slide_notes=False)
    slides = list(_slides(path))
    hidden = [page for page, slide in enumerate(slides, start=1) if slide.is_hidden]
    pieces = list(_pieces(found, [slide.note for slide in slides]))
    return Draft(
        pieces, str(title) if title else None, metadata, hidden=f"on hidden slides ({listed(hidden)})" if hidden else ""
    )


@cache
def _silence() -> None:
    os.environ |= {"DO_NOT_TRACK": "1", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
    import unstructured.nlp.tokenize as grammar

    grammar.sent_tokenize = lambda text: [text]
    grammar.word_tokenize = str.split
    grammar.pos_tag = lambda _: []


@dataclass(frozen=True, slots=True)
class _Slide:
    note: str
    is_hidden: bool


def _slides(path: Path) -> Iterator[_Slide]:
    """What unstructured does not say of each slide; it would put notes before what they are about."""
    from pptx import Presentation

    for slide in Presentation(str(path)).slides:
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        yield _Slide(frame.text if frame else "", slide._element.get("show") in ("0", "false"))


def _pieces(found: Iterable["Element"], notes: list[str]) -> Iterator[Piece]:
    shown = {page: list(group) for page, group in groupby(found, lambda element: element.metadata.page_number)}
    for page, note in enumerate(notes, start=1):
        yield heading("", 1, page)
        yield from _slide(shown.get(page, ()), page)
        yield Piece(note, page=page)


def _slide(found: Iterable["Element"], page: int) -> Iterator[Piece]:
    for element in found:
        category = type(element).__name__
        if category in _LEFT_OUT:
            continue
        if category == "Table" and element.metadata.text_as_html:
            yield from table(_rows(element.metadata.text_as_html), page)
        elif category == "Title" and not element.metadata.category_depth:
            yield heading(element.text, 1, page)
        else:  # A deeper title is a line that the file marks as a subtitle, or that looks like one.
            yield Piece(element.text, BlockKind.LIST_ITEM if category == "ListItem" else BlockKind.PARAGRAPH, page=page)


def _rows(markup: str) -> Iterator[list[str]]:
    for row in html.fromstring(markup).iter("tr"):
        yield [cell.text_content() for cell in row if cell.tag in ("td", "th")]
