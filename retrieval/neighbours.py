"""Hits with what stands before and after them: neighbouring chunks of one text become one passage. Pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from indexes.model import Chunk, Hit, Span


@dataclass(frozen=True, slots=True)
class Joined:
    """A passage of one text. `hit` is the best of the hits in it, with the span and the text of the whole passage.

    `parts` are the chunks it is made of, in order.
    """

    hit: Hit
    parts: tuple[Chunk, ...]

    def part(self, start: int, end: int) -> Chunk:
        """The chunk that holds most of a quote, by its offsets in the canonical text: what a citation of it names."""
        return max(self.parts, key=lambda part: min(end, part.span.end) - max(start, part.span.start))


def joined(hits: Sequence[Hit], around: Mapping[str, Sequence[Chunk]], texts: Mapping[str, str]) -> list[Joined]:
    """`hits` and the chunks `around` them as passages, in the order of the best hit of each.

    Both mappings are by revision: chunks in the order of the text, hits among them, and canonical texts. Chunks that
    follow one another are one passage, `text[start:end]` from the first to the last. A hit whose revision has no text
    here stays as it is.
    """
    runs = {
        chunk.id: run
        for revision_id, chunks in around.items()
        if revision_id in texts
        for run in _runs(chunks)
        for chunk in run
    }
    passages: dict[str, Joined] = {}
    for hit in hits:
        run = runs.get(hit.chunk.id, (hit.chunk,))
        if run[0].id not in passages:
            passages[run[0].id] = Joined(_whole(hit, run, texts.get(hit.chunk.revision_id)), run)
    return list(passages.values())


def _runs(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, ...]]:
    run: list[Chunk] = []
    for chunk in chunks:
        if run and chunk.span.ordinal != run[-1].span.ordinal + 1:
            yield tuple(run)
            run = []
        run.append(chunk)
    if run:
        yield tuple(run)


def _whole(hit: Hit, run: tuple[Chunk, ...], text: str | None) -> Hit:
    if text is None or len(run) == 1:
        return hit
    first, last, own = run[0].span, run[-1].span, hit.chunk.span
    start, end = first.start, max(part.span.end for part in run)
    tokens = sum(part.span.tokens for part in run)  # at most: what overlaps counts twice
    span = Span(start, end, own.ordinal, tokens, first.page_start, last.page_end, own.section)
    return replace(hit, chunk=replace(hit.chunk, span=span, text=text[start:end]))
