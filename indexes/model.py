"""The things that are stored and found, as plain frozen values. The words are those of the design."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
AttributeValue = str | float | bool
Attributes = Mapping[str, AttributeValue]
Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in points from the top left corner of a page as it is shown."""


class BlockKind(StrEnum):
    """What a stretch of canonical text is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class LineBox:
    """Where one printed line, or one row of a table, lies on its page: `start` is where it begins in the text."""

    start: int
    box: Box


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of one canonical text that a chunk should not mix with its neighbours.

    `start` and `end` count Unicode code points; blocks are in order, do not overlap, and only white space lies between
    them. `page` counts from 1. `section` is the path of headings above, outermost first; a heading's own path ends
    with itself. `lines` are in order and cover the block, each up to the start of the next; empty where the format
    does not say where things are printed.
    """

    start: int
    end: int
    kind: BlockKind
    page: int | None = None
    section: tuple[str, ...] = ()
    lines: tuple[LineBox, ...] = ()

    @property
    def box(self) -> Box | None:
        """What all lines lie in."""
        return around(line.box for line in self.lines) if self.lines else None


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box that all of `boxes`, one at least, lie in."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


@dataclass(frozen=True, slots=True)
class CanonicalText:
    """The plain text of a file, in reading order: what every offset counts in.

    `warnings` are sentences for the owner (a page that could not be read, hidden text). `metadata` holds what the file
    says of itself (author, date, subject).
    """

    text: str
    blocks: tuple[Block, ...]
    media_type: str
    title: str | None = None
    metadata: Mapping[str, AttributeValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Where one chunk lies: `start`, `end` in code points of the canonical text, its pages and headings."""

    start: int
    end: int
    ordinal: int
    tokens: int
    page_start: int | None = None
    page_end: int | None = None
    section: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one revision's text, with that text: `text == canonical.text[span.start:span.end]`.

    `orders` is how much it reads as if it gave orders to a language model, 0..1 (`indexes/orders.py`), as it was seen
    when the chunk was cut; None where nobody looked.
    """

    id: str
    revision_id: str
    span: Span
    text: str
    orders: float | None = field(default=None, compare=False)  # follows from the text

    @property
    def sha256(self) -> str:
        """Of the text: equal texts have equal vectors."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term weights of one text: parallel `indices` (unique, unsigned 32 bit) and `values`."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What an index version holds of one chunk. `vector` has shape (dimension,) and length 1."""

    chunk_id: str
    revision_id: str
    vector: Vector
    sparse: SparseVector
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the points of an index version, as they are read back: parallel columns in the order of chunk ids.

    `vectors` has shape (points, dimension). `next` is where the following page starts; None after the last one.
    """

    chunk_ids: list[str]
    revision_ids: list[str]
    attributes: list[Attributes]
    vectors: Vector
    next: str | None


class Match(NamedTuple):
    """One chunk found by one kind of search. Higher scores are better: cosine, or BM25.

    A tuple, because hundreds are made for one question: a third of the time of a frozen dataclass.
    """

    chunk_id: str
    revision_id: str
    score: float


class Matches(list[Match]):
    """Matches, best first, that say in a few words `how` they were found: `exact`, `hnsw, filtered to about 800`."""

    __slots__ = ("how",)

    def __init__(self, matches: Iterable[Match] = (), how: str = "exact") -> None:
        super().__init__(matches)
        self.how = how


class Scores(NamedTuple):
    """How a hit came to its place: each kind of score is None where that step did not see it. A tuple as `Match` is.

    `behind` is the lowest score of those that were reranked, for a hit that stands behind them because it was not.
    """

    fused: float
    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None
    behind: float | None = None

    @property
    def final(self) -> float:
        """What orders hits, 0..1: the score of the reranker, or else the fused one."""
        score = self.fused if self.rerank is None else self.rerank
        return min(1.0, max(0.0, score * (1.0 if self.behind is None else self.behind)))


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that answers a query, with what a reader needs to cite it."""

    chunk: Chunk
    scores: Scores
    store_id: str
    index_version: str
    file_id: str
    filename: str
    key: str
    attributes: Attributes
