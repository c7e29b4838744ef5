"""From the lines of a PDF page to paragraphs, tables and headings in reading order.

Most producers write text in reading order, so the order of the file is kept inside a paragraph or table; the parts are
then ordered by columns. Lines that stand side by side are cells of a table if they are short, columns if they are long.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from indexes.model import BlockKind, Box, LineBox, around
from ingestion.parse.draft import Piece
from ingestion.parse.pdf_glyphs import DIVIDER, Line, Page
from ingestion.parse.pdf_table import aligned, gap
from ingestion.parse.tables import table

COLUMN_CHARS = 25
ALIGNED = 1.5
MAX_COLUMN_PARTS = 400
HEADING_SCALE = 1.12
HEADING_CHARS = 150
SMALL_CAPITALS = 0.7
GAP = "\t"  # Between parts of one line that stand apart; white space like any other, but to running heads.
_BULLET = re.compile(r"([•▪‣◦●○■□–·*\-]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+\S")
_LONE_BULLET = re.compile(r"[•▪‣◦●○■□–·*\-]|\(?(\d{1,2}|[a-z])[.)]")
_NUMBERED = re.compile(r"([IVX]+|[A-Z]|\d+(\.\d+)*)\.?\s+\w")
_CJK = re.compile("[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


@dataclass(slots=True)
class Part:
    """Lines that belong together; `rows` are the cells of each line of a table."""

    lines: list[Line]
    rows: list[list[Line]] | None = None

    @property
    def left(self) -> float:
        return min(line.left for line in self.lines)

    @property
    def right(self) -> float:
        return max(line.right for line in self.lines)

    @property
    def bottom(self) -> float:
        return min(line.bottom for line in self.lines)

    @property
    def top(self) -> float:
        return max(line.top for line in self.lines)

    @property
    def text(self) -> str:
        """The lines as running text."""
        return self.running()[0]

    def running(self) -> tuple[str, list[int]]:
        """The lines as running text, where a word that was divided is whole again; and where in it each line begins."""
        text, starts, divided = "", [], False
        for line in self.lines:
            shown = line.shown
            if divided:
                text += "" if shown[:1].islower() else "-"
            elif text and shown and not (_CJK.match(text[-1]) and _CJK.match(shown)):
                text += " "
            starts.append(len(text))
            text += shown
            divided = line.text.endswith(chr(DIVIDER))
        return text + ("-" if divided else ""), starts


@dataclass(frozen=True, slots=True)
class Scale:
    """The height of the body text of a document, and the heights that its headings have, tallest first."""

    body: float
    bold_body: bool
    headings: tuple[float, ...]

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Scale":
        lines = [line for part in parts for line in part.lines]
        heights: Counter[float] = Counter()
        for line in lines:
            heights[_rounded(line.height)] += len(line.text)
        body = heights.most_common(1)[0][0] if heights else 0.0
        taller = sorted((height for height in heights if height > body * HEADING_SCALE), reverse=True)
        bold = sum(len(line.text) for line in lines if line.bold)
        return cls(body, 2 * bold > sum(heights.values()), tuple(taller[:5]))

    def level(self, part: Part) -> int | None:
        """The outline level of `part`, counted from 1, if it looks like a heading."""
        text = part.text
        is_text = not part.rows and not part.lines[0].turned and " … " not in text and sum(map(str.isalpha, text)) >= 3
        if not is_text or len(part.lines) > 3 or len(text) > HEADING_CHARS:
            return None
        height = _rounded(median(line.height for line in part.lines))
        if height > self.body * HEADING_SCALE:
            return 1 + sum(taller > height for taller in self.headings)
        bold = not self.bold_body and all(line.bold for line in part.lines)
        numbered = text.isupper() and _NUMBERED.match(text)
        tall_enough = height >= self.body * (SMALL_CAPITALS if numbered else 1.0)
        if (bold or numbered) and tall_enough and len(part.lines) <= 2 and text[-1] not in ".,;:":
            return 1 + len(self.headings)
        return None


def _rounded(height: float) -> float:
    return round(height * 2) / 2


def pieces(part: Part, page: Page, scale: Scale) -> Iterator[Piece]:
    """`part` with its kind, its page, and where its lines are."""
    if part.rows:
        rows = list(aligned(part.rows))
        boxes = [around(_box(page, line) for line in lines) for _, lines in rows]
        yield from table((cells for cells, _ in rows), page.number, boxes=boxes)
        return
    text, starts = part.running()
    lines = tuple(LineBox(start, _box(page, line)) for start, line in zip(starts, part.lines, strict=True))
    if (level := scale.level(part)) is not None:
        yield Piece(text, BlockKind.HEADING, level, page.number, lines)
    else:
        kind = BlockKind.LIST_ITEM if _BULLET.match(text) else BlockKind.PARAGRAPH
        yield Piece(text, kind, page=page.number, lines=lines)


def _box(page: Page, line: Line) -> Box:
    return page.shown(line.left, line.bottom, line.right, line.top)


def arrange(page: Page) -> list[Part]:
    """The parts of `page` in reading order."""
    parts = list(_in_order(list(_parts(_rows([line for line in page.lines if not line.turned])))))
    return parts + [Part([line]) for line in page.lines if line.turned]


def _rows(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines side by side, left to right. Long ones are columns: each is then a row of its own, in column order."""
    rows: list[list[Line]] = []
    for line in lines:
        if rows and rows[-1][-1].beside(line) and line.left > rows[-1][-1].right:
            if len(rows[-1]) == 1 and _LONE_BULLET.fullmatch(rows[-1][0].text):
                rows[-1][0].extend(line, " ")
            else:
                rows[-1].append(line)
        else:
            rows.append([line])
    lengths = [len(cell.text) for row in rows for cell in row if len(row) > 1]
    if lengths and median(lengths) > COLUMN_CHARS:
        return [part.lines for part in _in_order([Part([line]) for row in rows for line in row])]
    tabular = [_lined_up(row, rows[max(at - 2, 0) : at] + rows[at + 1 : at + 3]) for at, row in enumerate(rows)]
    return [row if keep else [_whole(row)] for row, keep in zip(rows, tabular, strict=True)]


def _lined_up(row: Sequence[Line], near: Iterable[Sequence[Line]]) -> bool:
    """Whether cells of `row` begin, or their figures end, where those of a row nearby do: justified words do not."""
    for other in near:
        for cell in row[1:]:
            figures = sum(map(str.isdigit, cell.text)) * 2 >= len(cell.text)
            for mate in other[1:]:
                left, right = abs(cell.left - mate.left), abs(cell.right - mate.right)
                centre = abs(cell.left + cell.right - mate.left - mate.right) / 2
                if left < ALIGNED or (figures and right < ALIGNED) or (cell is not row[-1] and centre < ALIGNED):
                    return True
    return False


def _whole(row: Sequence[Line]) -> Line:
    """The cells of `row` as the one line that they are."""
    line = row[0]
    for cell in row[1:]:
        line.extend(cell, GAP)
    return line


def _parts(rows: Sequence[list[Line]]) -> Iterator[Part]:
    at = 0
    while at < len(rows):
        end = _table_end(rows, at)
        if end - at > 1:
            yield Part([line for row in rows[at:end] for line in row], list(rows[at:end]))
            at = end
            continue
        lines = list(rows[at])
        at += 1
        while at < len(rows) and len(rows[at]) == 1 and _follows(lines, rows[at][0]):
            lines.append(rows[at][0])
            at += 1
        yield Part(lines)


def _table_end(rows: Sequence[list[Line]], start: int) -> int:
    """Where the table that begins at row `start` ends: rows of several cells, and lines that continue a cell."""
    end = at = start
    while at < len(rows):
        if at > start and gap(rows[at - 1], rows[at]) > 1.5 * rows[at][0].height:
            break
        if len(rows[at]) > 1:
            end = at + 1
        elif at == start or at - end >= 2 or len(rows[at][0].text) > 3 * COLUMN_CHARS:
            break
        at += 1
    return end


def _follows(lines: Sequence[Line], line: Line) -> bool:
    """Whether `line` goes on with the paragraph of `lines`."""
    last = lines[-1]
    if abs(last.height - line.height) > 0.2 * last.height or (len(lines) == 1 and last.bold != line.bold):
        return False
    if _BULLET.match(line.text) or line.left > last.right or line.right < last.left:
        return False
    gap = last.bottom - line.top
    usual = lines[-2].bottom - last.top if len(lines) > 1 else gap
    if not -0.7 * line.height < gap < 0.6 * line.height or gap > usual + 0.25 * line.height:
        return False
    indented = line.left - min(each.left for each in lines) > 0.8 * line.height
    return not (indented and last.text[-1:] in ".!?:" and len(lines) > 1)


def _in_order(parts: list[Part]) -> Iterator[Part]:
    """Down each column, left column first; a part that spans columns ends those above it."""
    gutter = _gutter(parts)
    if gutter is None:
        yield from _downwards(parts)
        return
    crossing = sorted((part for part in parts if part.left < gutter < part.right), key=lambda part: -part.top)
    rest = [part for part in parts if not part.left < gutter < part.right]
    for spanning in [*crossing, None]:
        floor = spanning.top if spanning else -1e9
        band = [part for part in rest if (part.top + part.bottom) / 2 >= floor]
        rest = [part for part in rest if (part.top + part.bottom) / 2 < floor]
        yield from _in_order([part for part in band if part.right <= gutter])
        yield from _in_order([part for part in band if part.left >= gutter])
        if spanning:
            yield spanning


def _downwards(parts: list[Part]) -> list[Part]:
    """One column: as the file has it, unless a part comes after one that lies wholly below it."""
    jumps = any(after.bottom >= before.top for before, after in pairwise(parts))
    return sorted(parts, key=lambda part: (-round(part.top), part.left)) if jumps else parts


def _gutter(parts: Sequence[Part]) -> float | None:
    """The x that divides `parts` into columns side by side with the fewest parts across it."""
    if not 2 <= len(parts) <= MAX_COLUMN_PARTS:
        return None
    best: tuple[int, float] | None = None
    for x in sorted({part.right + 0.5 for part in parts}):
        lefts = [part for part in parts if part.right <= x]
        rights = [part for part in parts if part.left >= x]
        across = len(parts) - len(lefts) - len(rights)
        if _side_by_side(lefts, rights) and across < len(lefts) + len(rights) and (best is None or across < best[0]):
            best = across, x
    return best[1] if best else None


def _side_by_side(lefts: Sequence[Part], rights: Sequence[Part]) -> bool:
    """Whether both groups are text blocks that share at least three lines of height."""
    if not lefts or not rights:
        return False
    shared = min(max(p.top for p in lefts), max(p.top for p in rights)) - max(
        min(p.bottom for p in lefts), min(p.bottom for p in rights)
    )
    lines = [line for part in (*lefts, *rights) for line in part.lines]
    return len(lines) >= 6 and shared > 3 * median(line.height for line in lines)
