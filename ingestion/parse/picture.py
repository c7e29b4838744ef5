"""Picture files: their text is what was recognised in them."""

from functools import partial
from pathlib import Path

from PIL import Image, ImageOps

from indexes.errors import DocumentError
from ingestion.parse.draft import Draft
from ingestion.parse.limits import Limits
from ingestion.parse.pdf_glyphs import Page
from ingestion.parse.pdf_layout import Scale, arrange, pieces
from ingestion.parse.scan import recognised, warning

MAX_PIXELS = 80_000_000


def parse(path: Path, limits: Limits, desk: Path | None) -> Draft:
    """The words in the picture as paragraphs and tables; boxes count its pixels. Each picture of a TIFF is a page.

    Raises DocumentError: no_text_layer while nothing is recognised, too_large, invalid_file.
    """
    pages = [] if desk is None else _pages(path, limits, desk)
    read = [page for page in pages if page.is_recognised]
    if not read:
        raise DocumentError(
            "This is a picture in which no text can be read. Run text recognition (OCR) and upload the result.",
            code="no_text_layer",
        )
    arranged = [(page, arrange(page)) for page in read]
    scale = Scale.of(part for _, parts in arranged for part in parts)
    found = [piece for page, parts in arranged for part in parts for piece in pieces(part, page, scale)]
    return Draft(found, metadata={"pages": len(pages)}, warnings=(warning(read),))


def _pages(path: Path, limits: Limits, desk: Path) -> list[Page]:
    pages = []
    with Image.open(path) as file:
        count = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
        for number in range(1, min(count, limits.max_pages) + 1):
            file.seek(number - 1)
            if file.width * file.height > MAX_PIXELS:
                raise DocumentError(f"This picture has over {MAX_PIXELS:,} pixels. Make it smaller.", code="too_large")
            picture = ImageOps.exif_transpose(file)
            page = Page(number, float(picture.width), float(picture.height), 0)
            pages.append(recognised(page, desk, partial(picture.convert, "L")))
    return pages
