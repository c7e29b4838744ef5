"""Presentations (.pptx, .pptm): each slide is a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.model import BlockKind
from ingestion.parse import elements
from ingestion.parse.container import open_zip
from ingestion.parse.draft import Draft, Piece
from ingestion.parse.limits import Limits
from ingestion.parse.word import core_properties

if TYPE_CHECKING:
    from unstructured.documents.elements import Element


def parse(path: Path, limits: Limits) -> Draft:
    """Slide by slide: the title as a heading, the other shapes from top to bottom, tables, then the speaker's notes."""
    with open_zip(path, limits) as archive:
        metadata = core_properties(archive)
    title = metadata.pop("title", None)
    elements.library()
    from unstructured.partition.pptx import partition_pptx

    found = partition_pptx(str(path), languages=[""], infer_table_structure=True)
    return Draft(list(_pieces(found)), str(title) if title else None, metadata)


def _pieces(found: "list[Element]") -> Iterator[Piece]:
    titled = None
    for element, piece in ((element, piece) for element in found for piece in elements.pieces([element])):
        if piece.kind is not BlockKind.HEADING:
            yield piece
        elif piece.page != titled and not element.metadata.category_depth:
            titled = piece.page
            yield piece
        else:  # A slide has one title; a subtitle is text.
            yield Piece(piece.text, page=piece.page)
