"""From the glyphs of a PDF page to its lines, with where they lie."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pypdfium2
from pypdfium2 import raw

from indexes.model import BlockKind, Box
from ingestion.parse.assemble import normalise
from ingestion.parse.pdf_hidden import Visibility

# In heights of a line. A wider gap ends a cell or a column; a narrower one is a space at most.
CELL_GAP = 1.1
SPACE_GAP = 0.15
GARBLED_SHARE = 0.2
# What a page can raise: PDFium's refusal, and sums with the infinite sizes and places that a broken page states.
PAGE_ERRORS = (pypdfium2.PdfiumError, ArithmeticError, LookupError, ValueError)
QUARTER_TURN = math.pi / 2
# The bullets of Symbol and Wingdings, which Unicode keeps for private use.
_SYMBOL_BULLET = re.compile("[\uf02d\uf06c\uf06e\uf071\uf076\uf0a7\uf0a8\uf0b7\uf0d8\uf0e0\uf0fc]")
_LEADER = re.compile(r"(?:\s*\.){5,}\s*")
DIVIDER = 0xAD  # Stands for the hyphen of a word that is divided at the end of a line.


@dataclass(slots=True)
class Line:
    """Glyphs on one base line without a wide gap. Points, from the lower left corner, along the text's direction.

    `bottom` and `top` are those of the most common size of glyph: a raised figure or a tall sign does not count.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    bold: bool = False
    hidden: bool = False
    turned: bool = False  # Runs in another direction than most of the page.

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 0.1)

    @property
    def shown(self) -> str:
        """The text as it will stay: a dot leader is one sign, and the hyphen of a word divided at its end is gone."""
        text = self.text.removesuffix(chr(DIVIDER)).replace(chr(DIVIDER), "-")
        return normalise(_LEADER.sub(" … ", text), BlockKind.PARAGRAPH)

    def beside(self, other: "Line") -> bool:
        """Whether both share a base line, or one is raised or lowered beside the other."""
        shared = min(self.top, other.top) - max(self.bottom, other.bottom)
        return shared > 0.5 * min(self.height, other.height)

    def extend(self, other: "Line", space: str) -> None:
        """Take in `other`, which follows on the same base line."""
        if len(other.text) > len(self.text):
            self.bottom, self.top, self.bold = other.bottom, other.top, other.bold
        self.text += space + other.text
        self.left, self.right = min(self.left, other.left), max(self.right, other.right)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its lines in the order of the file. `width` and `height` are along the text's direction."""

    number: int
    width: float
    height: float
    turns: int  # Quarter turns clockwise that bring the lines' coordinates to how the page is shown.
    lines: list[Line] = field(default_factory=list)
    has_images: bool = False
    is_garbled: bool = False
    is_broken: bool = False
    is_recognised: bool = False  # The lines were read from a picture.

    def shown(self, left: float, bottom: float, right: float, top: float) -> Box:
        """A rectangle of this page as (left, top, right, bottom) from the top left corner, as the page is shown."""
        box = (left, self.height - top, right, self.height - bottom)
        width, height = self.width, self.height
        for _ in range(self.turns % 4):
            box = (height - box[3], box[0], height - box[1], box[2])
            width, height = height, width
        x0, y0, x1, y1 = (round(value, 1) for value in box)
        return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class _Glyph:
    char: str
    left: float
    bottom: float
    right: float
    top: float
    index: int
    turned: bool


def read_page(document: pypdfium2.PdfDocument, index: int) -> Page:
    """Page `index` (from 0) of `document`; one that cannot be read comes back broken, without lines."""
    try:
        return _read(document[index], index + 1)
    except PAGE_ERRORS:
        return Page(index + 1, 0.0, 0.0, 0, is_broken=True)


def _read(page: pypdfium2.PdfPage, number: int) -> Page:
    text = page.get_textpage()
    left, bottom, right, top = page.get_bbox()
    turns = _text_turns(text)
    width, height = (right - left, top - bottom) if turns % 2 == 0 else (top - bottom, right - left)
    lines = _joined(list(_lines(text, turns, (left, bottom, right, top), Visibility(page, text))))
    has_images = not lines and next(page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,)), None) is not None
    turned = page.get_rotation() // 90 - turns
    return Page(number, width, height, turned, lines, has_images, _is_garbled(text))


def _text_turns(text: pypdfium2.PdfTextPage) -> int:
    """Quarter turns clockwise that make most of the text run from left to right in the page's own coordinates."""
    count = text.count_chars()
    sample = range(0, count, max(1, count // 200))
    turns = Counter(round(raw.FPDFText_GetCharAngle(text, index) / QUARTER_TURN) % 4 for index in sample)
    return -turns.most_common(1)[0][0] % 4 if turns else 0


def _is_garbled(text: pypdfium2.PdfTextPage) -> bool:
    count = text.count_chars()
    sample = range(0, count, max(1, count // 500))
    unmapped = [index for index in sample if raw.FPDFText_HasUnicodeMapError(text, index) == 1]
    return len(unmapped) > GARBLED_SHARE * len(sample)


def _glyphs(text: pypdfium2.PdfTextPage, turns: int, page: Box) -> Iterator[_Glyph]:
    box = raw.FS_RECTF()
    for index in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, index)
        if raw.FPDFText_IsHyphen(text, index) == 1:
            code = DIVIDER
        if not code or not raw.FPDFText_GetLooseCharBox(text, index, ctypes.byref(box)):
            continue
        if not math.isfinite(box.left + box.bottom + box.right + box.top):  # Scaled past what can be shown.
            continue
        x0, y0, x1, y1 = box.left - page[0], box.bottom - page[1], box.right - page[0], box.top - page[1]
        width, height = page[2] - page[0], page[3] - page[1]
        for _ in range(turns):
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            width, height = height, width
        turned = round(raw.FPDFText_GetCharAngle(text, index) / QUARTER_TURN) % 4 != -turns % 4
        yield _Glyph(chr(code), x0, y0, x1, y1, index, turned)


def _lines(text: pypdfium2.PdfTextPage, turns: int, page: Box, seen: Visibility) -> Iterator[Line]:
    """Runs of glyphs up to a line end, a divided word, a wide gap or a change of direction."""
    run: list[_Glyph] = []
    right, space = 0.0, False
    for glyph in _glyphs(text, turns, page):
        ends = glyph.char in "\r\n"
        if not ends and glyph.char.isspace():
            space = True
            continue
        wide = run and glyph.left - right > CELL_GAP * max(run[-1].top - run[-1].bottom, 1.0)
        if run and (ends or wide or glyph.turned != run[-1].turned):
            yield _line(text, run, seen)
            run = []
        if not ends:
            right = max(right, glyph.right) if run else glyph.right
            run.append(replace(glyph, char=" " + glyph.char) if space and run else glyph)
        space = False
        if run and run[-1].char[-1] == chr(DIVIDER):  # PDFium runs on to the next line here.
            yield _line(text, run, seen)
            run = []
    if run:
        yield _line(text, run, seen)


def _line(text: pypdfium2.PdfTextPage, run: list[_Glyph], seen: Visibility) -> Line:
    # Characters beyond the basic plane come in two halves.
    chars = "".join(glyph.char for glyph in run).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    sizes = Counter(round(glyph.top - glyph.bottom, 1) for glyph in run)
    size = sizes.most_common(1)[0][0]
    usual = [glyph for glyph in run if round(glyph.top - glyph.bottom, 1) == size]
    return Line(
        _SYMBOL_BULLET.sub("•", chars),
        min(glyph.left for glyph in run),
        min(glyph.bottom for glyph in usual),
        max(glyph.right for glyph in run),
        max(glyph.top for glyph in usual),
        _is_bold(text, run[0].index) and _is_bold(text, run[-1].index),
        seen.hides(run[0].index) or seen.hides(run[-1].index),
        run[0].turned,
    )


def _is_bold(text: pypdfium2.PdfTextPage, index: int) -> bool:
    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(text, index, name, len(name), None)
    return raw.FPDFText_GetFontWeight(text, index) >= 600 or b"bold" in name.value.lower()


def _joined(lines: list[Line]) -> list[Line]:
    """Mend what raised figures and changes of font cut: lines that go on where the one before ended."""
    mended: list[Line] = []
    for line in lines:
        before = mended[-1] if mended else None
        if before is None or before.turned or line.turned or not before.beside(line):
            mended.append(line)
            continue
        gap = line.left - before.right
        if -0.5 * before.height < gap <= CELL_GAP * before.height:
            before.hidden = before.hidden or line.hidden
            before.extend(line, " " if gap > SPACE_GAP * before.height else "")
        else:
            mended.append(line)
    return mended
