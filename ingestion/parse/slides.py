"""Presentations (.pptx, .pptm): each slide is a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.model import BlockKind
from ingestion.parse import elements
from ingestion.parse.container import open_zip
from ingestion.parse.draft import Draft, Piece, heading
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
    page = None
    for piece in elements.pieces(found):
        if piece.page != page:
            page = piece.page
            yield heading("", 1, page)
        # The first level is the title of the slide; a subtitle is text.
        is_text = piece.kind is BlockKind.HEADING and piece.level > 1
        yield Piece(piece.text, page=page) if is_text else piece
