"""Pages that are pictures: rendered for text recognition, and read back from what it found.

A parser may start no program, so recognition runs beside it, between two rounds: in the first a parser lays the
pictures it cannot read on a desk (a folder), `recognition` puts what it reads beside each, and the next round takes
that. A picture that reads badly is laid out once more, upside down. Source of the table: Tesseract's manual, TSV.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import fmean

from PIL import Image

from ingestion.parse.draft import listed
from ingestion.parse.pdf_glyphs import CELL_GAP, DIVIDER, Line, Page

MAX_PICTURES = 200  # Of one document; recognising one takes a second or more.
MAX_SIDE = 3_508  # A4 at 300 dots per inch; recognition gains nothing from more.
MIN_WORD_CONFIDENCE = 30.0
MIN_PAGE_CONFIDENCE = 60.0
_DIVIDED = re.compile(r"[a-z]-$")
_TURNS = (0, 2)  # Quarter turns.


@dataclass(frozen=True, slots=True)
class _Word:
    line: tuple[str, ...]
    text: str
    confidence: float
    left: float
    top: float
    width: float
    height: float


def warning(pages: Sequence[Page]) -> str:
    """What the owner is told of pages that were recognised."""
    return f"The text of {listed(page.number for page in pages)} was read from a picture (OCR); it may have errors."


def recognised(page: Page, desk: Path, draw: Callable[[], Image.Image]) -> Page:
    """`page` with the lines that were recognised in its picture; as it is, if that is not done yet or was in vain.

    `page` has the size and direction in which it is shown. `draw` gives the picture that fills it.
    """
    best = 0.0, page
    for turns in _TURNS:
        name = f"{page.number}-{turns}"
        if not (desk / f"{name}.tsv").exists():
            if len(list(desk.glob("*.png"))) < MAX_PICTURES and not (desk / f"{name}.png").exists():
                picture = draw().convert("L")
                picture.thumbnail((MAX_SIDE, MAX_SIDE))
                picture.rotate(-90 * turns, expand=True).save(desk / f"{name}.png")
            break
        words = list(_words(desk / f"{name}.tsv", page))
        confidence = fmean(word.confidence for word in words) if words else 0.0
        best = max(best, (confidence, _filled(page, words, turns)), key=lambda each: each[0])
        if confidence >= MIN_PAGE_CONFIDENCE:
            break
    return best[1] if best[0] >= MIN_PAGE_CONFIDENCE else page


def _words(table: Path, page: Page) -> Iterator[_Word]:
    """The words of `table`, in points of `page`, in Tesseract's order."""
    scale = 1.0
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
            if row["level"] == "1":  # The picture itself.
                scale = page.width / max(width, 1)
            elif row["level"] == "5" and row["text"].strip():
                line = row["block_num"], row["par_num"], row["line_num"]
                box = (value * scale for value in (left, top, width, height))
                yield _Word(line, row["text"].strip(), float(row["conf"]), *box)


def _filled(page: Page, words: list[_Word], turns: int) -> Page:
    kept = (word for word in words if word.confidence >= MIN_WORD_CONFIDENCE)
    lines = [line for _, group in groupby(kept, lambda word: word.line) for line in _lines(list(group), page.height)]
    return replace(page, turns=-turns % 4, lines=lines, is_recognised=True)


def _lines(words: list[_Word], page_height: float) -> list[Line]:
    """The words of one line, apart where a wide gap lies between them."""
    lines: list[Line] = []
    for word in words:
        bottom, top = page_height - word.top - word.height, page_height - word.top
        line = lines[-1] if lines else None
        if line is not None and word.left - line.right <= CELL_GAP * line.height:
            line.text += f" {word.text}"
            line.bottom, line.right, line.top = min(line.bottom, bottom), word.left + word.width, max(line.top, top)
        else:
            lines.append(Line(word.text, word.left, bottom, word.left + word.width, top))
    if lines and _DIVIDED.search(lines[-1].text):
        lines[-1].text = lines[-1].text[:-1] + chr(DIVIDER)
    return lines
