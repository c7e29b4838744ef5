"""Citations: exact quotes from passages, and which sentences of a passage a claim rests on."""

from typing import Protocol

from generation.model import Citation, Passage, Verdict
from generation.terms import terms
from indexes.sentences import Offsets, sentences

_WORTH_A_SENTENCE = 0.15  # share of the claim's terms that a further sentence must add to be quoted too
_MOST_SENTENCES = 3


class Pages(Protocol):
    """Where the pages of documents end."""

    async def page(self, revision_id: str, offset: int) -> int | None:
        """The page, from 1, of a code point of a revision's canonical text; None where that is not known."""


def quote(
    passage: Passage, start: int, end: int, answer: Offsets, score: float, verdict: Verdict, index: int | None = None
) -> Citation:
    """Cite `passage.hit.chunk.text[start:end]` for the stretch `answer` of the answer, marked at `index` or its end.

    The page is None where the chunk is printed on several: which of them it is, only the whole document can tell.
    """
    chunk = passage.hit.chunk
    span = chunk.span
    return Citation(
        passage=passage,
        quote=chunk.text[start:end],
        source_start=span.start + start,
        source_end=span.start + end,
        page=span.page_start if span.page_start == span.page_end else None,
        answer_start=answer[0],
        answer_end=answer[1],
        index=answer[1] if index is None else index,
        score=score,
        verdict=verdict,
    )


def holds(citation: Citation) -> bool:
    """Whether the quote is, letter by letter, where the citation says it is (I10)."""
    chunk = citation.passage.hit.chunk
    start, end = citation.source_start - chunk.span.start, citation.source_end - chunk.span.start
    return 0 <= start < end <= len(chunk.text) and chunk.text[start:end] == citation.quote


def narrow(claim: str, text: str) -> Offsets:
    """(start, end) of the sentences of `text` that carry `claim` best: one, or up to three in a row if each adds to it.

    By shared terms; where none is shared, the first sentence. `text` must not be blank.
    """
    spans = sentences(text)
    wanted = set(terms(claim))
    shared = [wanted & set(terms(text[start:end])) for start, end in spans]
    first = last = max(range(len(spans)), key=lambda at: (len(shared[at]), -at))
    covered = set(shared[first])
    while last - first + 1 < _MOST_SENTENCES:
        around = [at for at in (first - 1, last + 1) if 0 <= at < len(spans)]
        best = max(around, key=lambda at: len(shared[at] - covered), default=None)
        if best is None or len(shared[best] - covered) <= _WORTH_A_SENTENCE * len(wanted):
            break
        covered |= shared[best]
        first, last = min(first, best), max(last, best)
    return spans[first][0], spans[last][1]
