"""Chunks by the sentence splitter of llama-index, for engineers who know it and want it in an index version.

The splitter works on text and forgets where it was; within a section its chunks are exact pieces of the text in order,
so their places are found again. Its import takes 2 s: only parser children make it.
"""

from collections.abc import Iterator, Sequence

from indexes.embedder import Tokenizer
from indexes.manifest import Chunking
from indexes.model import Block, BlockKind, CanonicalText, Span
from indexes.sentences import trimmed
from ingestion.chunk import sections

LLAMA_INDEX_CHUNKER = "llama-index-sentence-1"


def chunk(text: CanonicalText, chunking: Chunking, tokenizer: Tokenizer) -> list[Span]:
    """As `ingestion.chunk.chunk`, except that tables and code are cut like prose."""
    spans: list[Span] = []
    for blocks in sections(text.blocks or (Block(0, len(text.text), BlockKind.PARAGRAPH),)):
        start, end = blocks[0].start, blocks[-1].end
        for first, last in _places(text.text, start, end, chunking, tokenizer):
            tokens = len(tokenizer.offsets(text.text[first:last]))
            pages = [block.page for block in blocks if block.start < last and block.end > first]
            spans.append(Span(first, last, len(spans), tokens, pages[0], pages[-1], blocks[-1].section))
    return spans


def _places(text: str, start: int, end: int, chunking: Chunking, tokenizer: Tokenizer) -> Iterator[tuple[int, int]]:
    """(start, end) of each chunk of one section, none with more tokens than it may have."""
    fresh = start
    for piece in _pieces(text[start:end], chunking, tokenizer):
        # Chunks may overlap, and text may repeat itself; but no chunk begins after what none has covered yet.
        body = trimmed(text, fresh, end)
        fresh = body[0] if body else end
        found = text.rfind(piece, start, min(end, fresh + len(piece)))
        body = trimmed(text, found, found + len(piece)) if found >= 0 else None
        if body is None:
            continue
        if len(tokenizer.offsets(text[body[0] : body[1]])) > chunking.max_tokens:
            smaller = Chunking(chunking.max_tokens * 3 // 4, 0)
            yield from _places(text, *body, smaller, tokenizer)
        else:
            yield body
        fresh = max(fresh, body[1])


def _pieces(text: str, chunking: Chunking, tokenizer: Tokenizer) -> Sequence[str]:
    from llama_index.core.node_parser import SentenceSplitter

    splitter = SentenceSplitter(
        chunk_size=max(chunking.max_tokens, 1),
        chunk_overlap=chunking.overlap_tokens,
        tokenizer=tokenizer.offsets,
        paragraph_separator="\n\n",
        include_metadata=False,
        include_prev_next_rel=False,
    )
    pieces: list[str] = splitter.split_text(text)
    return pieces
