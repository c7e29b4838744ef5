"""Where on its pages a stretch of text is printed."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from indexes.model import Box, CanonicalText


@dataclass(frozen=True, slots=True)
class PageBox:
    """A rectangle on a page, which counts from 1."""

    page: int
    box: Box


def boxes(text: CanonicalText, start: int, end: int) -> Iterator[PageBox]:
    """The printed lines (of a table: its rows) that hold any of `text.text[start:end]`, in the order of the text.

    None where the format has no pages, and for what is printed nowhere, such as the fields of a form.
    """
    first = max(bisect_right(text.blocks, start, key=lambda block: block.start) - 1, 0)
    for block in text.blocks[first:]:
        if block.start >= end:
            return
        if block.page is None or not block.lines:
            continue
        ends = [line.start for line in block.lines[1:]] + [block.end]
        for line, line_end in zip(block.lines, ends, strict=True):
            if line.start < end and start < line_end:
                yield PageBox(block.page, line.box)
