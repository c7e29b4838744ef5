"""PDF with a text layer, by pypdfium2. Nothing is rendered and no script runs (this PDFium has no JavaScript)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pypdfium2
from PIL.Image import Image
from pypdfium2 import raw

from indexes.errors import DocumentError
from ingestion.parse.container import encrypted
from ingestion.parse.draft import Draft, Piece, attributes, listed
from ingestion.parse.limits import Limits
from ingestion.parse.pdf_fields import read_fields
from ingestion.parse.pdf_glyphs import PAGE_ERRORS, Page, read_page
from ingestion.parse.pdf_layout import Scale, arrange, pieces
from ingestion.parse.pdf_running import drop_repeated
from ingestion.parse.scan import MAX_SIDE, recognised, warning

_JUNK_TITLE = re.compile(r"^(untitled.*|.*\.\w{2,4}|microsoft .*|slide 1|powerpoint presentation|\W*)$", re.IGNORECASE)
_COPY_ALLOWED = 1 << 4
RESOLUTION = 300  # Dots per inch at which text recognition does best.


def parse(path: Path, limits: Limits, desk: Path | None) -> Draft:
    """Blocks page by page in reading order, with their boxes; what was filled into a form follows its page.

    Running heads and feet stay once, where they first stand. Raises DocumentError: encrypted_file, no_text_layer,
    too_large, invalid_file.
    """
    document = _open(path)
    try:
        if len(document) > limits.max_pages:
            raise DocumentError(
                f"This PDF has {len(document):,} pages; the limit is {limits.max_pages:,}. Split it.",
                code="too_large",
            )
        fields = read_fields(document)
        pages = [_page(document, index, desk) for index in range(len(document))]
        stated = document.get_metadata_dict(skip_empty=True)
        copying = raw.FPDF_GetDocPermissions(document) & _COPY_ALLOWED
    finally:
        document.close()
    if not any(page.lines for page in pages) and not any(fields.values()):
        raise DocumentError(
            "This PDF has no text layer. If its pages are scans, run text recognition (OCR) and upload the result.",
            code="no_text_layer",
        )
    title = stated.get("Title", "")
    metadata = attributes(
        author=stated.get("Author"),
        subject=stated.get("Subject"),
        keywords=stated.get("Keywords"),
        created=_iso(stated.get("CreationDate")),
        modified=_iso(stated.get("ModDate")),
        pages=len(pages),
    )
    shown = _pieces(pages, fields)
    hidden = [page.number for page in pages if any(line.hidden for line in page.lines)]
    return Draft(
        shown,
        None if _JUNK_TITLE.match(title) else title,
        metadata,
        _warnings(pages, bool(copying)),
        f"on {listed(hidden)}" if hidden else "",
    )


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise encrypted("PDF") from error
        raise DocumentError("This PDF is damaged and cannot be opened. Export it again.") from error


def _page(document: pypdfium2.PdfDocument, index: int, desk: Path | None) -> Page:
    page = read_page(document, index)
    if desk is None or page.lines or not page.has_images:
        return page
    opened = document[index]
    width, height = opened.get_size()  # As it is shown.
    try:
        return recognised(replace(page, width=width, height=height, turns=0), desk, partial(_drawn, opened))
    except PAGE_ERRORS:
        return page


def _drawn(page: pypdfium2.PdfPage) -> Image:
    """`page` with the dots of its finest picture, within `RESOLUTION`: recognition suffers from invented ones."""
    finest = 72.0
    for picture in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,)):
        left, _, right, _ = picture.get_bounds()
        finest = max(finest, 72 * picture.get_px_size()[0] / max(right - left, 1.0))
    scale = min(finest / 72, RESOLUTION / 72, MAX_SIDE / max(page.get_size()))
    image: Image = page.render(scale=scale, grayscale=True).to_pil()
    return image


def _pieces(pages: Sequence[Page], fields: Mapping[int, Sequence[Piece]]) -> list[Piece]:
    arranged = [(page, arrange(page)) for page in pages]
    drop_repeated(arranged)
    scale = Scale.of(part for _, parts in arranged for part in parts)
    found: list[Piece] = []
    for page, parts in arranged:
        for part in parts:
            found += pieces(part, page, scale)
        found += fields.get(page.number, ())
    return found


def _iso(stated: str | None) -> str | None:
    """`D:20230626202052-04'00'` as `2023-06-26T20:20:52`; anything else as it is."""
    parts = re.match(r"D:(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", stated or "")
    return "{}-{}-{}T{}:{}:{}".format(*parts.groups()) if parts else stated


def _warnings(pages: Sequence[Page], copying: bool) -> tuple[str, ...]:
    found = []
    if broken := [page.number for page in pages if page.is_broken]:
        found.append(f"The file is damaged on {listed(broken)}: nothing could be read there. Export it again.")
    if scanned := [page.number for page in pages if not page.lines and page.has_images]:
        found.append(f"No text could be read on {listed(scanned)}: only pictures are there. OCR would help.")
    if read := [page for page in pages if page.is_recognised]:
        found.append(warning(read))
    if unmapped := [page.number for page in pages if page.is_garbled]:
        found.append(f"The fonts on {listed(unmapped)} do not say which letters they show; the text may be wrong.")
    if not copying:
        found.append("The author of this PDF asked not to copy text from it. It was read all the same.")
    return tuple(found)
