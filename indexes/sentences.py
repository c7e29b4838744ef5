"""Where sentences begin and end in a stretch of canonical text, by exact offsets.

Rules, not a model: they load in no time, work on any script, and an answer must not depend on a tagger's mood. The
rules err towards fewer breaks, because half a sentence makes a worse quote than two.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

Offsets = tuple[int, int]

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_LIST_MARKER = re.compile(r"[^\S\n]*(?:[-*+•‣◦▪·–]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])[^\S\n]+(?=\S)")
_TABLE_ROW = re.compile(r"\S \| |^\| ")
# Possessive, and not tried inside a run of stops, so that no repetition is read twice.
# Full stops of scripts that put no space after them, or that never abbreviate with them, always end a sentence.
_STOP = re.compile(
    r"""(?P<sure>[。！？｡؟۔।॥]++[」』”’）)】》〉"]*+)
      | (?P<maybe>(?<![.!?…])[.!?…]++(?:[)\]”’"'»]|[ ]'')*+(?=\s))""",
    re.VERBOSE,
)
_WORD_BEFORE = re.compile(r"[^\s(\[“\"']*$")
_WORD_AFTER = re.compile(r"\s+[(\[“‘\"'`«]*\s?([^\s,.;:!?]+)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    "mr mrs ms dr prof rev hon gen col capt lt sgt maj adm gov sen rep pres st mt ft messrs mme mlle sra srta dra "
    "e.g i.e eg ie cf vs v viz fig figs eq eqs ch chap ed eds tr approx ca resp incl bzw nr abb z.b d.h u.a"
)
_SELDOM_LAST = _words(
    "inc ltd co corp llc jr sr etc al dept univ est assn bros lit vol sec pp pt dist ave blvd rd jan feb mar apr "
    "jun jul aug sep sept oct nov dec"
)
_BEFORE_NUMBERS = _words("no nos p art para")
_STARTERS = _words(
    "a after all although an and another as at because before both but by despite during each every for from he "
    "her here his how however i if in instead it its many more most no on once one other our over several she "
    "since so some such that the their then there these they this those though through to today under until we "
    "what when where which while who why with you your"
)
_LONGEST_WORD = 24
_NARROWEST_WRAPPED, _WIDEST_WRAPPED = 40, 110  # columns


def sentences(text: str) -> list[Offsets]:
    """(start, end) of each sentence of `text` in code points: in order, apart, and over all that is not white space.

    A heading, a list item (with its marker), a row of a table and a line of code each count as one or more sentences
    of their own.
    """
    found: list[Offsets] = []
    for start, end in _stretches(text):
        found.extend(_split(text, start, end))
    return found


def trimmed(text: str, start: int, end: int) -> Offsets | None:
    """(start, end) without the white space around it; None where there is nothing else."""
    part = text[start:end]
    body = part.strip()
    if not body:
        return None
    start += len(part) - len(part.lstrip())
    return start, start + len(body)


def without_list_marker(text: str, start: int, end: int) -> int:
    """Where the words of the sentence `text[start:end]` begin."""
    marker = _LIST_MARKER.match(text, start, end)
    return marker.end() if marker else start


def is_table_row(text: str) -> bool:
    """Whether this line is a row of a table: cells are set apart by " | "."""
    return _TABLE_ROW.search(text) is not None


def _stretches(text: str) -> Iterator[Offsets]:
    """Blocks, cut where a line break inside them is meant."""
    start = 0
    for end, following in [*((gap.start(), gap.end()) for gap in _BLANK_LINE.finditer(text)), (len(text), len(text))]:
        yield from _lines(text, start, end)
        start = following


def _lines(text: str, start: int, end: int) -> Iterator[Offsets]:
    rows = text[start:end].split("\n")
    least = _least_wrapped(rows)
    begin = line = start
    for row, following in pairwise(rows):
        line += len(row) + 1
        if _columns(row) < least or row.endswith(":") or _stands_alone(row) or _stands_alone(following):
            yield begin, line - 1
            begin = line
    yield begin, end


def _least_wrapped(rows: Sequence[str]) -> float:
    """How wide a line of this block must be for the break after it to be a wrap, not the author's; infinite for none.

    A wrapped paragraph fills its lines, which are as wide as a page at most. Three or more lines that all begin with a
    capital are a list.
    """
    widest = max(map(_columns, rows))
    if widest > _WIDEST_WRAPPED or (len(rows) > 2 and all(row[:1].isupper() for row in rows)):
        return math.inf
    return max(_NARROWEST_WRAPPED, 0.6 * widest)


def _stands_alone(line: str) -> bool:
    return not line.strip() or is_table_row(line) or _LIST_MARKER.match(line) is not None


def _columns(line: str) -> int:
    """The width of a line as set: ideographs, kana and hangul take two columns."""
    return len(line) + sum(character >= "\u2e80" for character in line)


def _split(text: str, start: int, end: int) -> Iterator[Offsets]:
    begin = start
    marker = _LIST_MARKER.match(text, start, end)
    for stop in _STOP.finditer(text, marker.end() if marker else start, end):
        if stop.lastgroup == "sure" or _ends(text, begin, stop, end):
            yield from _trimmed(text, begin, stop.end())
            begin = stop.end()
    yield from _trimmed(text, begin, end)


def _ends(text: str, begin: int, stop: re.Match[str], end: int) -> bool:
    """Whether the stop ends a sentence, by the words on its two sides."""
    after = _WORD_AFTER.match(text, stop.end(), end)
    if after is None:
        return True
    following = after[1]
    if following[0].islower():
        return False
    if text[stop.start()] != "." or stop.end() - stop.start() > 1:
        return True
    # A bounded look back: a text full of stops that end nothing must not be read again at each of them.
    before = _WORD_BEFORE.search(text[max(begin, stop.start() - _LONGEST_WORD) : stop.start()])
    word = before[0].casefold() if before else ""
    is_number = word.isdigit() and text[begin : stop.start()].strip() == word
    if is_number or word in _NEVER_LAST:
        return False
    if word in _BEFORE_NUMBERS:
        return not following[0].isdigit()
    if word in _SELDOM_LAST or (len(word) == 1 and word.isalpha()) or re.fullmatch(r"(?:\w\.)+\w", word):
        return following.casefold() in _STARTERS
    return True


def _trimmed(text: str, start: int, end: int) -> Iterator[Offsets]:
    body = trimmed(text, start, end)
    if body is not None:
        yield body
