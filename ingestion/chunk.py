"""Canonical text to spans that one embedding model can read whole.

Sections are not mixed, headings go with what follows them, tables are cut between rows, code and tables stay whole
where they fit, and a sentence is cut only where it is longer than a chunk. Pure, and linear in the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from indexes.embedder import Tokenizer
from indexes.errors import InvalidRequest
from indexes.manifest import Chunking
from indexes.model import Block, BlockKind, CanonicalText, Span
from indexes.sentences import sentences, trimmed

CHUNKER_VERSION = "sentence-1"

# Some text has next to no tokens (white space, a long unbroken string that WordPiece takes for one unknown word): a
# chunk is also bounded in code points. English has 4 to 5 of them per token, indented code up to 10.
_CHARACTERS_PER_TOKEN = 12
_DEFAULT_MAX_TOKENS = 256
_LEAST_MAX_TOKENS = 16
_PROSE = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)


def default_chunking(limit: int) -> Chunking:
    """For a model that reads `limit` tokens of a text: as much as it reads, at most 256, an eighth of it overlapping.

    256 is about what the default model reads whole, and keeps chunks alike when a store moves to a model that reads
    more; no other size was measured. An eighth is one or two sentences: a statement and the one it refers to.
    """
    return fit(Chunking(max_tokens=_DEFAULT_MAX_TOKENS, overlap_tokens=_DEFAULT_MAX_TOKENS // 8), limit)


def fit(chunking: Chunking, limit: int) -> Chunking:
    """`chunking` within what the model reads: both numbers clipped, the overlap to half of the size at most.

    So the API's static strategy (up to 4,096 tokens, 800 by default in OpenAI's own) is honoured as far as the model
    can: a larger chunk would be embedded by its beginning only. The manifest holds the result.
    """
    max_tokens = min(chunking.max_tokens, limit)
    return Chunking(max_tokens=max_tokens, overlap_tokens=min(chunking.overlap_tokens, max_tokens // 2))


def chunk(text: CanonicalText, chunking: Chunking, tokenizer: Tokenizer) -> list[Span]:
    """The spans of `text`, in order.

    Each begins and ends with a character that is not white space, has at most `chunking.max_tokens` tokens, counted on
    its own text, and covers whole blocks or sentences of one section where they fit; its `section` is that of its last
    block. Every character that is not white space is in a span. Neighbours share whole sentences of up to
    `chunking.overlap_tokens`. Raises InvalidRequest for a chunking that makes no sense.
    """
    check(chunking)
    cutter = _Cutter(text.text, chunking.max_tokens, tokenizer)
    spans: list[Span] = []
    for blocks in sections(text.blocks or (Block(0, len(text.text), BlockKind.PARAGRAPH),)):
        pieces = [piece for block in blocks for piece in cutter.pieces(block)]
        for pack in _Packing(pieces, chunking).packs():
            spans.extend(cutter.spans(pack, ordinal=len(spans)))
    return spans


def check(chunking: Chunking) -> None:
    """Raises InvalidRequest for a chunking that makes no sense."""
    if chunking.max_tokens < _LEAST_MAX_TOKENS:
        raise InvalidRequest(f"A chunk of {chunking.max_tokens} tokens is too small: take {_LEAST_MAX_TOKENS} or more.")
    if not 0 <= chunking.overlap_tokens <= chunking.max_tokens // 2:
        raise InvalidRequest(
            f"An overlap of {chunking.overlap_tokens} tokens does not go with chunks of {chunking.max_tokens}: take "
            f"0 to {chunking.max_tokens // 2}."
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is not cut further: a sentence, a heading, a row, a whole table, or a fragment of one that is too long."""

    start: int
    end: int
    tokens: int
    block: Block
    repeatable: bool = False  # a whole sentence, which the next chunk may say again

    @property
    def heading(self) -> bool:
        """Whether it belongs to what follows it."""
        return self.block.kind is BlockKind.HEADING


def sections(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Runs of blocks of one section. Headings with nothing under them go to the first section inside theirs."""
    waiting: list[Block] = []
    for section, run in groupby(blocks, key=lambda block: block.section):
        blocks_here = list(run)
        if waiting and section[: len(waiting[-1].section)] != waiting[-1].section:
            yield waiting
            waiting = []
        waiting += blocks_here
        if any(block.kind is not BlockKind.HEADING for block in blocks_here):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


class _Packing:
    """Neighbouring pieces of one section, to be put together up to the size of a chunk."""

    def __init__(self, pieces: Sequence[_Piece], chunking: Chunking) -> None:
        self._pieces = pieces
        self._chunking = chunking
        self._tokens = [0, *accumulate(piece.tokens for piece in pieces)]  # of all pieces before each

    def packs(self) -> Iterator[Sequence[_Piece]]:
        """Each as long as it can be. No pack ends with a heading that could begin the next."""
        first = fresh = 0  # a pack begins with what the last one said, then goes on with what none said
        while fresh < len(self._pieces):
            end = fresh + 1
            while end < len(self._pieces) and self._fits(first, end + 1):
                end += 1
            if end < len(self._pieces):
                end = self._before_headings(fresh, end)
            yield self._pieces[first:end]
            fresh = end
            first = self._overlap(fresh)

    def _fits(self, first: int, end: int) -> bool:
        limit = self._chunking.max_tokens
        length = self._pieces[end - 1].end - self._pieces[first].start
        return self._tokens[end] - self._tokens[first] <= limit and length <= limit * _CHARACTERS_PER_TOKEN

    def _before_headings(self, fresh: int, end: int) -> int:
        last = end
        while last > fresh and self._pieces[last - 1].heading:
            last -= 1
        return last if last > fresh else end

    def _overlap(self, fresh: int) -> int:
        """Where the pack that goes on at `fresh` begins."""
        first = fresh
        if fresh == len(self._pieces) or self._pieces[fresh].heading:
            return first
        while (
            first
            and self._pieces[first - 1].repeatable
            and self._tokens[fresh] - self._tokens[first - 1] <= self._chunking.overlap_tokens
            and self._fits(first - 1, fresh + 1)
        ):
            first -= 1
        return first


class _Cutter:
    """Cuts one text, counting by one tokenizer."""

    def __init__(self, text: str, max_tokens: int, tokenizer: Tokenizer) -> None:
        self._text = text
        self._max_tokens = max_tokens
        self._max_characters = max_tokens * _CHARACTERS_PER_TOKEN
        self._tokenizer = tokenizer

    def pieces(self, block: Block) -> Iterator[_Piece]:
        """The block whole, or its rows or sentences, or fragments of those that are too long."""
        for start, end in self._parts(block):
            tokens = self._count(start, end)
            if self._fits(start, end, tokens):
                yield _Piece(start, end, tokens, block, repeatable=block.kind in _PROSE)
            else:
                yield from self._fragments(start, end, block)

    def spans(self, pack: Sequence[_Piece], ordinal: int) -> list[Span]:
        """One span; more where the pieces have more tokens together than apart, as some tokenizers make of them."""
        start, end = pack[0].start, pack[-1].end
        tokens = pack[0].tokens if len(pack) == 1 else self._count(start, end)
        if len(pack) > 1 and tokens > self._max_tokens:
            left = self.spans(pack[: len(pack) // 2], ordinal)
            return left + self.spans(pack[len(pack) // 2 :], ordinal + len(left))
        first, last = pack[0].block, pack[-1].block
        return [Span(start, end, ordinal, tokens, first.page, last.page, last.section)]

    def _parts(self, block: Block) -> Iterator[tuple[int, int]]:
        whole = trimmed(self._text, block.start, block.end)
        if block.kind in _PROSE:
            part = self._text[block.start : block.end]
            yield from ((block.start + start, block.start + end) for start, end in sentences(part))
        elif whole and self._fits(*whole, self._count(*whole)):
            yield whole
        elif whole:
            yield from self._lines(*whole)

    def _lines(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        for line in self._text[start:end].splitlines(keepends=True):
            if body := trimmed(self._text, start, start + len(line)):
                yield body
            start += len(line)

    def _fragments(self, start: int, end: int, block: Block) -> Iterator[_Piece]:
        """Cuts between words where it can, between tokens where not, and between characters as a last resort."""
        while start < end:
            cut = self._cut(start, end)
            if body := trimmed(self._text, start, cut):
                yield _Piece(*body, self._count(*body), block)
            start = cut

    def _cut(self, start: int, end: int) -> int:
        """Where the fragment that begins at `start` ends."""
        window, offsets = self._window(start, end)
        if window == end and len(offsets) <= self._max_tokens:
            return end
        # The token that is one too many, or the last, which the window may have cut.
        most = min(len(offsets) - 1, self._max_tokens)
        apart = (k for k in range(most, most // 2, -1) if offsets[k][0] > offsets[k - 1][1])
        token = next(apart, most)
        cut = start + offsets[token][0] if token > 0 else window
        # A word cut in two can have more tokens than it had whole.
        while cut - start > 1 and self._count(start, cut) > self._max_tokens:
            cut = start + (cut - start) * 3 // 4
        return max(cut, start + 1)

    def _window(self, start: int, end: int) -> tuple[int, list[tuple[int, int]]]:
        """As far from `start` as a fragment may reach, and the offsets of the tokens there."""
        width = 2 * self._max_tokens  # doubled while too small: Chinese has one character to a token, English five
        while True:
            window = min(end, start + min(width, self._max_characters))
            offsets = self._tokenizer.offsets(self._text[start:window])
            if window == end or len(offsets) > self._max_tokens or width >= self._max_characters:
                return window, offsets
            width *= 2

    def _count(self, start: int, end: int) -> int:
        return len(self._tokenizer.offsets(self._text[start:end]))

    def _fits(self, start: int, end: int, tokens: int) -> bool:
        return tokens <= self._max_tokens and end - start <= self._max_characters
