"""Tables as text that can be read a part at a time: one row a line, cells joined by ` | `, the header in every part.

A chunk is an exact span of the text, so what is to stand in every chunk has to stand in the text every few rows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

from indexes.model import BlockKind, Box, LineBox
from ingestion.parse.draft import Piece

# Estimated tokens of one part, its header included: less than the default chunk (256), so that the chunker keeps it
# whole, with room for what the estimate misses.
PART_TOKENS = 200
LABEL_CHARS = 120  # A longer cell is no name of a column.
WINDOW_ROWS = 50  # Rows looked at together: a sheet may have a million.
# Tokens a character: English words have few, other scripts and signs up to one each.
_CHEAP = ((re.compile("[A-Za-z ]+"), 0.3), (re.compile("[0-9]+"), 0.6))
_FIGURE = re.compile(r"(?!(1[89]|20)\d\d$)[-+(]?[$€£]?\d[\d.,:/-]*[%)]*")  # A year is a name.


@dataclass(frozen=True, slots=True)
class _Row:
    cells: Sequence[str]
    box: Box | None

    def line(self, columns: Sequence[int]) -> str:
        return " ".join(" | ".join(self.cell(column) for column in columns).split())

    def cell(self, column: int) -> str:
        return self.cells[column] if column < len(self.cells) else ""


def table(
    rows: Iterable[Iterable[str]], page: int | None = None, *, heads: int = 1, boxes: Iterable[Box] | None = None
) -> Iterator[Piece]:
    """`rows` as pieces; `boxes` are where they are printed, and the first `heads` of them name the columns.

    Each piece begins with the header, unless the first row does not look like one. A row that does not fit beside its
    header is a piece of its own, one `column: value` a line. Rows and columns that are empty throughout are left out;
    what has a single column is no table, but a paragraph of several lines.
    """
    places: Iterable[Box | None] = repeat(None) if boxes is None else boxes
    given = (_Row([" ".join(cell.split()) for cell in row], box) for row, box in zip(rows, places, strict=False))
    filled: Iterator[_Row] = (row for row in given if any(row.cells))
    head = list(islice(filled, heads))
    if not _names_columns(head):
        head, filled = [], chain(head, filled)
    window = list(islice(filled, WINDOW_ROWS))
    yield from _window(head, window, page, is_first=True)
    while window := list(islice(filled, WINDOW_ROWS)):
        yield from _window(head, window, page, is_first=False)


def _names_columns(head: Sequence[_Row]) -> bool:
    cells = [cell for row in head for cell in row.cells if cell]
    figures = sum(1 for cell in cells if _FIGURE.fullmatch(cell))
    return 2 * figures < len(cells) and all(len(cell) <= LABEL_CHARS for cell in cells)


def _window(head: Sequence[_Row], rows: Sequence[_Row], page: int | None, *, is_first: bool) -> Iterator[Piece]:
    width = max((len(row.cells) for row in (*head, *rows)), default=0)
    used = [column for column in range(width) if any(row.cell(column) for row in (*head, *rows))]
    if len(used) < 2:
        lines = [(row.line(used), row.box) for row in ((*head, *rows) if is_first else rows)]
        if lines:
            yield _piece(lines, BlockKind.PARAGRAPH, page)
        return
    for part in _parts(head, rows, used):
        yield _piece(part, BlockKind.TABLE, page)


_Lines = list[tuple[str, Box | None]]


def _parts(head: Sequence[_Row], rows: Sequence[_Row], used: Sequence[int]) -> Iterator[_Lines]:
    header: _Lines = [(row.line(used), row.box) for row in head]
    room = PART_TOKENS - sum(_tokens(line) for line, _ in header)
    part, taken = list(header), 0.0
    for row in rows:
        line = row.line(used)
        tokens = _tokens(line)
        if taken and taken + tokens > room:
            yield part
            part, taken = list(header), 0.0
        if header and tokens > room:
            yield [(f"{_name(head, column)}{row.cell(column)}", row.box) for column in used if row.cell(column)]
        else:
            part.append((line, row.box))
            taken += tokens
    if taken or not rows:
        yield part


def _name(head: Sequence[_Row], column: int) -> str:
    words = " ".join(dict.fromkeys(row.cell(column) for row in head if row.cell(column)))
    return f"{words}: " if words else ""


def _tokens(line: str) -> float:
    tokens = 0.0
    for cheap, per_character in _CHEAP:
        rest = cheap.sub("", line)
        tokens += per_character * (len(line) - len(rest))
        line = rest
    return tokens + len(line)


def _piece(lines: _Lines, kind: BlockKind, page: int | None) -> Piece:
    placed, start = [], 0
    for line, box in lines:
        if box is not None:
            placed.append(LineBox(start, box))
        start += len(line) + 1
    return Piece("\n".join(line for line, _ in lines), kind, page=page, lines=tuple(placed))
