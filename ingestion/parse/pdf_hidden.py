"""Text that a page holds but does not show: white on white, transparent, tiny, beside the page."""

import ctypes
from collections.abc import Iterator

import pypdfium2
from pypdfium2 import raw

from indexes.model import Box

WHITE = 250  # Of 255, in each colour.
MIN_HEIGHT = 1.0  # Points.


class Visibility:
    """What can be seen of the glyphs of one page."""

    def __init__(self, page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> None:
        self._page = page
        self._text = text
        self._drawn: list[Box] | None = None

    def hides(self, index: int) -> bool:
        """Whether a reader does not see glyph `index`."""
        mode = raw.FPDFTextObj_GetTextRenderMode(raw.FPDFText_GetTextObject(self._text, index))
        if mode == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
            return True
        box = raw.FS_RECTF()
        if not raw.FPDFText_GetLooseCharBox(self._text, index, ctypes.byref(box)):
            return False
        left, bottom, right, top = self._page.get_bbox()
        if box.right < left or box.left > right or box.top < bottom or box.bottom > top:
            return True
        if box.top - box.bottom < MIN_HEIGHT and box.right - box.left < MIN_HEIGHT:
            return True
        colour = [ctypes.c_uint() for _ in range(4)]
        if mode != raw.FPDF_TEXTRENDERMODE_FILL or not raw.FPDFText_GetFillColor(self._text, index, *colour):
            return False
        *shades, opacity = (part.value for part in colour)
        return opacity == 0 or (min(shades) >= WHITE and not self._is_backed(box))

    def _is_backed(self, box: raw.FS_RECTF) -> bool:
        """Whether anything that is not white is drawn where the glyph is."""
        if self._drawn is None:
            self._drawn = list(_drawn(self._page))
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in self._drawn)


def _drawn(page: pypdfium2.PdfPage) -> Iterator[Box]:
    """Where pictures, forms and filled shapes are: (left, bottom, right, top)."""
    colour = [ctypes.c_uint() for _ in range(4)]
    for shape in page.get_objects(max_depth=1):
        is_path = shape.type == raw.FPDF_PAGEOBJ_PATH
        is_coloured = raw.FPDFPageObj_GetFillColor(shape, *colour)
        is_white = is_coloured and min(part.value for part in colour[:3]) >= WHITE
        if shape.type != raw.FPDF_PAGEOBJ_TEXT and not (is_path and is_white):
            yield shape.get_bounds()
