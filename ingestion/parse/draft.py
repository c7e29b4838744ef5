"""What a parser of one format hands over: ordered pieces, before any offset exists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexes.model import AttributeValue, BlockKind
from ingestion.parse.limits import Limits

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of text in reading order.

    `level` is meant for headings alone and counts from 1, outermost. A heading without text ends the sections of its
    level: a slide without a title does not belong under the title of the one before.
    """

    text: str
    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 1
    page: int | None = None
    box: Box | None = None

    def below(self, levels: int) -> "Piece":
        """The same piece, `levels` further down the outline."""
        return replace(self, level=self.level + levels)


@dataclass(frozen=True, slots=True)
class Draft:
    """The pieces of one file and what the file says of itself."""

    pieces: Iterable[Piece]
    title: str | None = None
    metadata: Mapping[str, AttributeValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


Parser = Callable[[Path, Limits], Draft]


def heading(text: str, level: int, page: int | None = None) -> Piece:
    """A heading of `level`, counted from 1."""
    return Piece(text, BlockKind.HEADING, max(level, 1), page)


def table(rows: Iterable[Iterable[str]], page: int | None = None, box: Box | None = None) -> Piece:
    """A table as text: one row a line, cells joined by ` | `; rows and columns that are empty throughout are left out.

    What has a single column is no table, but a paragraph of several lines.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    used = [column for column in range(width) if any(column < len(row) and row[column] for row in cells)]
    lines = [[row[column] if column < len(row) else "" for column in used] for row in cells if any(row)]
    kind = BlockKind.TABLE if len(used) > 1 else BlockKind.PARAGRAPH
    return Piece("\n".join(" | ".join(line) for line in lines), kind, page=page, box=box)


def attributes(**values: object) -> dict[str, AttributeValue]:
    """Metadata of what is present in `values`, as strings of at most 512 characters."""
    found = {name: " ".join(str(value).split())[:512] for name, value in values.items() if value}
    return {name: value for name, value in found.items() if value}


def listed(pages: Iterable[int]) -> str:
    """`page 3`, or `pages 3, 5, 7`; ten at most are named."""
    shown = [str(number) for number in pages]
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
    return f"page{'s' if len(shown) > 1 else ''} {', '.join(shown[:10])}{more}"
