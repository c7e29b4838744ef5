"""What a parser of one format hands over: ordered pieces, before any offset exists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexes.model import AttributeValue, BlockKind, LineBox
from ingestion.parse.limits import Limits


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of text in reading order.

    `level` is meant for headings alone and counts from 1, outermost. A heading without text ends the sections of its
    level: a slide without a title does not belong under the title of the one before. `lines`, where printed lines are
    known, begin in `text`, which is then as `assemble.normalise` leaves it.
    """

    text: str
    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 1
    page: int | None = None
    lines: tuple[LineBox, ...] = ()

    def below(self, levels: int) -> "Piece":
        """The same piece, `levels` further down the outline."""
        return replace(self, level=self.level + levels)


@dataclass(frozen=True, slots=True)
class Draft:
    """The pieces of one file and what the file says of itself.

    `hidden` says where there is text that a reader of the file would not see: `on page 3`.
    """

    pieces: Iterable[Piece]
    title: str | None = None
    metadata: Mapping[str, AttributeValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hidden: str = ""


Parser = Callable[[Path, Limits], Draft]


def heading(text: str, level: int, page: int | None = None) -> Piece:
    """A heading of `level`, counted from 1."""
    return Piece(text, BlockKind.HEADING, max(level, 1), page)


def attributes(**values: object) -> dict[str, AttributeValue]:
    """Metadata of what is present in `values`, as strings of at most 512 characters."""
    found = {name: " ".join(str(value).split())[:512] for name, value in values.items() if value}
    return {name: value for name, value in found.items() if value}


def listed(pages: Iterable[int]) -> str:
    """`page 3`, or `pages 3, 5, 7`; ten at most are named."""
    shown = [str(number) for number in pages]
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
    return f"page{'s' if len(shown) > 1 else ''} {', '.join(shown[:10])}{more}"
