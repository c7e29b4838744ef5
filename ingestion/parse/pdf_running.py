"""Running heads and feet of a PDF: lines at the edge of many pages that are the same but for the number of the page.

Any other number makes a line one of its own: of invoices, one a page, every number and every total counts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingestion.parse.pdf_glyphs import Page
from ingestion.parse.pdf_layout import GAP, Part

# What stands at the edge of this many pages is running, if half of all pages have such a line.
RUNNING_PAGES = 3
EDGE = 0.1
# A number beside a head is that of its page if it is as near as this to the page's place in the file.
NEAR_PAGES = 30
_NUMBER = r"(?P<number>[1-9]\d*(?!\d)|\b[ivxlc]+\b)"
_CALLED = (
    re.compile(
        r"(?:\b[ps]\.|第|\b(?:pages?|pg|seite|p[aá]gina|p[aá]g|sida|side|sivu|strona|strana|str|oldal|sayfa|стр(?:аница)?)\b"
        rf"\.?)\s*{_NUMBER}"
    ),
    re.compile(rf"\A\W*{_NUMBER}\W*\Z"),
    re.compile(rf"^{_NUMBER}\s*(?:/|of|von|de|sur|di|av|из)\s*\d+$", re.MULTILINE),
)
_BESIDE = (
    re.compile(rf"^{_NUMBER}[ {GAP}]", re.MULTILINE),
    re.compile(rf"[^\W\d_]\)?(?:{GAP}| ?[|·•] ?){_NUMBER}$", re.MULTILINE),
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class _Key(NamedTuple):
    """The text of a line, without the number of its page, and how far that number is ahead of the page's place."""

    text: str
    ahead: int | None


def drop_repeated(arranged: Sequence[tuple[Page, list[Part]]]) -> None:
    """Take running heads and feet out of every page but the first they stand on."""
    keys = [[set(_keys(page, part)) for part in parts] for page, parts in arranged]
    on_pages = Counter(key for page in keys for key in set().union(*page))
    alike = Counter(text for page in keys for text in {key.text for part in page for key in part})
    half = len(arranged) // 2
    running = {key for key, pages in on_pages.items() if pages >= RUNNING_PAGES and alike[key.text] >= half}
    met: set[str] = set()
    for (_, parts), page in zip(arranged, keys, strict=True):
        found = [{key.text for key in part & running} for part in page]
        parts[:] = [part for part, texts in zip(parts, found, strict=True) if not texts & met]
        met.update(*found)


def _keys(page: Page, part: Part) -> Iterator[_Key]:
    """What `part` can be counted by, if it lies at the upper or lower edge of the page."""
    inside = part.bottom > EDGE * page.height and part.top < (1 - EDGE) * page.height
    if inside or len(part.lines) > 2:
        return
    yield _Key(part.text.lower(), None)
    text = _printed(part)
    for patterns, furthest in ((_CALLED, None), (_BESIDE, NEAR_PAGES)):
        for found in (found for pattern in patterns for found in pattern.finditer(text)):
            ahead = _value(found["number"]) - page.number
            if furthest is None or abs(ahead) <= furthest:
                yield _Key(f"{text[: found.start('number')]}\0{text[found.end('number') :]}", ahead)


def _printed(part: Part) -> str:
    """The lines of `part`, what stands apart on one of them divided by a gap."""
    text = part.lines[0].text
    for above, line in pairwise(part.lines):
        text += (GAP if line.beside(above) else "\n") + line.text
    return text.lower()


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    values = [_ROMAN[digit] for digit in number]
    return sum(-one if one < after else one for one, after in pairwise([*values, 0]))
