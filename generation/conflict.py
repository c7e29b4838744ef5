"""Documents that contradict each other on what is asked: told rather than chosen between.

Precise rather than sensitive: two sentences of different documents must say the same in nearly the same words but for
a number, a date or a negation. "25 days in Berlin, 30 in Munich" is no contradiction, and neither are the figures of
two years.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest

from generation.abstain import SAID
from generation.candidates import Candidate
from generation.cite import quote
from generation.cues import Wanted, wanted
from generation.facts import dates, negates, numbers
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    AnswerEvent,
    Citation,
    CitationAdded,
    Sentence,
    TextDelta,
    Verdict,
)
from generation.terms import terms

_AMONG_BEST = 6  # sentences
_SHARE_OF_BEST = 0.6  # of the best sentence's score
_SAME_WORDS = 0.6  # Jaccard index of the words that are not facts
_OF_QUESTION = 0.5  # share of the question's terms that both must have
_YEAR = re.compile(r"(?:1\d|20)\d\d")
_CAPITAL = re.compile(r"\b[A-Z][\w’-]*")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sentences that cannot both be true, the likelier answer first, with their scores, 0..1."""

    one: Candidate
    other: Candidate
    scores: tuple[float, float]


def find_conflict(question: str, found: Sequence[Candidate], scores: Sequence[float]) -> Conflict | None:
    """The best sentence and one that contradicts it; None where there is no such pair."""
    best = nlargest(_AMONG_BEST, range(len(found)), key=scores.__getitem__)
    for other in best[1:]:
        near = scores[other] >= _SHARE_OF_BEST * scores[best[0]] > 0.0
        if near and _contradict(question, found[best[0]], found[other]):
            return Conflict(found[best[0]], found[other], (scores[best[0]], scores[other]))
    return None


def find_contradicted(question: str, found: Sequence[Candidate], cited: Sequence[Citation]) -> Conflict | None:
    """A sentence that the citations quote and one that contradicts it; None where there is no such pair."""
    for one in found:
        scores = [citation.score for citation in cited if _quotes(citation, one)]
        other = next((each for each in found if scores and _contradict(question, one, each)), None)
        if other is not None:
            return Conflict(one, other, (max(scores), max(scores)))
    return None


def told(conflict: Conflict, answer: Answer) -> Iterator[AnswerEvent]:
    """The events of an answer that quotes both sides and takes none, after what `answer` has said already."""
    said = SAID[AbstainReason.CONFLICTING]
    lead = f"\n\n{said}" if answer.text else said
    text = answer.text + lead
    citations = list(answer.citations)
    sentences = list(answer.sentences)
    yield TextDelta(lead)
    for side, score in zip((conflict.one, conflict.other), conflict.scores, strict=True):
        said = " ".join(side.text.split())
        lead = f"\n\n{side.passage.hit.key}: "
        start, end = len(text) + len(lead), len(text) + len(lead) + len(said)
        text += lead + said
        citations.append(quote(side.passage, side.start, side.end, (start, end), score, Verdict.SUPPORTED))
        sentences.append(Sentence(start, end, Verdict.SUPPORTED, score, (len(citations) - 1,)))
        yield TextDelta(lead + said)
        yield CitationAdded(citations[-1])
    yield Answered(
        replace(
            answer,
            text=text,
            citations=tuple(citations),
            sentences=tuple(sentences),
            abstained=True,
            abstain_reason=AbstainReason.CONFLICTING,
        )
    )


def _quotes(citation: Citation, one: Candidate) -> bool:
    start = one.passage.hit.chunk.span.start
    within = citation.source_start < start + one.end and citation.source_end > start + one.start
    return within and citation.passage.number == one.passage.number


def _contradict(question: str, one: Candidate, other: Candidate) -> bool:
    if one.passage.hit.key == other.passage.hit.key:
        return False
    asked = set(terms(question))
    if len(asked & one.terms & other.terms) < _OF_QUESTION * len(asked):
        return False  # most pairs: the rest is dear
    words, others = _words(one.text), _words(other.text)
    common = words & others
    if len(asked & common) < _OF_QUESTION * len(asked) or len(common) < _SAME_WORDS * len(words | others):
        return False
    if _named(one.text) ^ _named(other.text):
        return False  # of different people, places or products
    if negates(one.text) != negates(other.text):
        return numbers(one.text) == numbers(other.text) and dates(one.text) == dates(other.text)
    return _facts_differ(wanted(question), one.text, other.text)


def _facts_differ(kind: Wanted, one: str, other: str) -> bool:
    """Whether each has numbers or dates in the place of the other's; years only where a time is asked for."""
    facts, others = numbers(one) | dates(one), numbers(other) | dates(other)
    alone, other_alone = facts - others, others - facts
    if not alone or len(alone) != len(other_alone):
        return False
    years = [fact for fact in alone | other_alone if _YEAR.fullmatch(fact)]
    # Another year beside another figure is another matter, not another opinion.
    return not years or (kind is Wanted.TIME and len(years) == len(alone | other_alone))


def _words(text: str) -> set[str]:
    """Its terms but for numbers and dates."""
    facts = {term for fact in dates(text) for term in terms(fact)}
    return {term for term in terms(text) if not numbers(term) and term[:3] not in {fact[:3] for fact in facts}}


def _named(text: str) -> set[str]:
    """The terms of all capitalised words, the first one too, but for dates."""
    return {term for name in _CAPITAL.findall(text) if not dates(name) for term in terms(name)}
