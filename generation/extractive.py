"""Answers by quotation: no language model, nothing said that the documents do not say."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from heapq import nlargest

from generation.abstain import Abstention, Calibration, abstained
from generation.candidates import Candidate, Evidence, candidates, is_stopped, weigh
from generation.cite import quote
from generation.conflict import find_conflict, told
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    AnswerEvent,
    Citation,
    CitationAdded,
    Passage,
    Question,
    Sentence,
    TextDelta,
    Verdict,
)
from generation.selection import Pick, choose, likelihood
from generation.settings import GenerationSettings
from generation.support import Embed
from indexes.sentences import is_table_row


class ExtractiveAnswerer:
    """Quotes the sentences that answer best, each followed by its citation; abstains where confidence is too low.

    `embed` turns texts into rows of length 1, as for queries; without it, words alone decide. The history of a
    conversation is not read: the question must stand alone.
    """

    name = "extractive"

    def __init__(
        self, settings: GenerationSettings, embed: Embed | None = None, calibration: Calibration | None = None
    ) -> None:
        self._settings = settings
        self._embed = embed
        self._abstention = Abstention(settings.abstain_below, settings.answer_precision, calibration)

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        """See `Answerer`."""
        found = candidates(passages)
        evidence, scores = await rank(question.text, found, self._embed, self._settings.embedded_sentences)
        confidence = self._abstention.confidence(passages, evidence)
        picks = choose(found, scores, self._settings.max_sentences)
        blank = Answer(text="", model=self.name, confidence=confidence)
        reason = self._abstention.reason(question, passages, confidence)
        if reason is not None or not picks:
            events = abstained(blank, reason or AbstainReason.LOW_CONFIDENCE, passages)
        elif conflict := find_conflict(question.text, found, scores):
            events = told(conflict, blank)
        else:
            events = _quoted(picks, blank)
        for event in events:
            yield event


async def rank(
    question: str, found: Sequence[Candidate], embed: Embed | None, limit: int
) -> tuple[list[Evidence], list[float]]:
    """The evidence for each candidate and its score, 0..1.

    With `embed`, the `limit` candidates that words alone rank best are compared by meaning, and the others score 0.
    """
    evidence = weigh(question, found)
    scores = [likelihood(each) for each in evidence]
    best = nlargest(limit, range(len(found)), key=scores.__getitem__)
    if embed is None or not best:
        return evidence, scores
    vectors = await embed([question, *(found[at].text for at in best)])
    similarity = dict(zip(best, (vectors[1:] @ vectors[0]).tolist(), strict=True))
    evidence = [replace(each, similarity=similarity.get(at)) for at, each in enumerate(evidence)]
    return evidence, [likelihood(each) if at in similarity else 0.0 for at, each in enumerate(evidence)]


def _quoted(picks: Sequence[Pick], answer: Answer) -> Iterator[AnswerEvent]:
    """The picks as running text, each cited where it ends."""
    text = ""
    citations: list[Citation] = []
    spans: list[Sentence] = []
    for before, pick in zip((None, *picks), picks, strict=False):
        said = _separator(before, pick) + _readable(pick)
        start = len(text) + len(said) - len(said.lstrip())
        text += said
        cited = quote(pick.parts[0].passage, pick.start, pick.end, (start, len(text)), pick.score, Verdict.SUPPORTED)
        citations.append(cited)
        spans.append(Sentence(start, len(text), Verdict.SUPPORTED, pick.score, (len(spans),)))
        yield TextDelta(said)
        yield CitationAdded(cited)
    yield Answered(replace(answer, text=text, citations=tuple(citations), sentences=tuple(spans)))


def _readable(pick: Pick) -> str:
    """The quoted sentences with line wraps undone; list items, rows and lines of code keep their lines."""
    chunk = pick.parts[0].passage.hit.chunk.text
    lines = [" ".join(chunk[part.outer_start : part.end].split()) for part in pick.parts[1:]]
    return "\n".join([" ".join(pick.parts[0].text.split()), *lines])


def _separator(before: Pick | None, pick: Pick) -> str:
    if before is None:
        return ""
    if before.parts[0].passage is not pick.parts[0].passage:
        return "\n\n"
    running = is_stopped(before.parts[-1].text) and len(before.parts) == len(pick.parts) == 1
    return " " if running and not is_table_row(pick.parts[0].text) else "\n"
