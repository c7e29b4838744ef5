"""Picture files, each of them a page: their text is what recognition finds in them."""

from functools import partial
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence

from indexes.errors import DocumentError
from ingestion.parse.draft import Draft
from ingestion.parse.limits import Limits
from ingestion.parse.pdf_glyphs import Page
from ingestion.parse.pdf_layout import Scale, arrange, to_piece
from ingestion.parse.scan import recognised

MAX_PIXELS = 100_000_000


def parse(path: Path, limits: Limits, desk: Path | None = None) -> Draft:
    """The lines of each picture in the file as paragraphs and tables; boxes count its pixels.

    Raises DocumentError: no_text_layer while nothing was recognised, too_large.
    """
    if desk is None:
        raise no_text()
    with Image.open(path) as file:
        ...
