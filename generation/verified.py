"""Answers whose every citation and sentence is verified, and what becomes of sentences that do not stand."""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from generation.abstain import abstained
from generation.cite import quote
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    Answerer,
    AnswerEvent,
    Citation,
    CitationAdded,
    Passage,
    Question,
    Sentence,
    SupportPolicy,
    TextDelta,
    Usage,
    Verdict,
)
from generation.verify import Verifier
from indexes.errors import InvalidRequest, Overloaded, Unavailable

log = logging.getLogger(__name__)

_STANDS = (Verdict.SUPPORTED, Verdict.PARTLY)
_AGAIN = (
    "An earlier answer said the following, which the passages do not bear out. Answer again from the passages alone, "
    "and leave out what they do not say:\n"
)


class VerifiedAnswerer:
    """Holds what another answerer says against what it cites, and follows the policy of the question, or its own.

    To flag costs no time before the first word. To drop or to regenerate, the whole answer is awaited before any of it
    is sent; where a second one cannot be had, the first is sent. Where the judge is out of reach, the verdict by words
    that the citations come with stays.
    """

    def __init__(self, answerer: Answerer, verifier: Verifier, policy: SupportPolicy) -> None:
        self.name = answerer.name
        self._answerer = answerer
        self._verifier = verifier
        self._policy = policy

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        """See `Answerer`."""
        policy = question.unsupported or self._policy
        if policy is SupportPolicy.FLAG:
            async with aclosing(self._judged(question, passages)) as events:
                async for event in events:
                    yield event
            return
        answer = await self._whole(question, passages)
        if policy is SupportPolicy.REGENERATE and (failed := _failed(answer)):
            answer = await self._regenerated(question, passages, answer, failed)
        for event in _dropped(answer, passages) if policy is SupportPolicy.DROP else _told(answer):
            yield event

    async def _regenerated(
        self, question: Question, passages: Sequence[Passage], answer: Answer, failed: Sequence[str]
    ) -> Answer:
        """The better of `answer` and a second one, or `answer` where the model does not give a second."""
        try:
            second = await self._whole(_asked_again(question, answer, failed), passages)
        except (InvalidRequest, Overloaded, Unavailable) as error:
            log.warning("%s did not answer again: %s", self.name, error.message)
            return answer
        return _better(answer, second)

    async def _judged(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        text = ""
        citations: list[Citation] = []
        async with aclosing(self._answerer.answer(question, passages)) as events:
            async for event in events:
                match event:
                    case TextDelta(more):
                        text += more
                    case CitationAdded(given):
                        citations.append(await self._cited(text[given.answer_start : given.answer_end], given))
                        event = CitationAdded(citations[-1])
                    case Answered(answer) if not answer.abstained:
                        event = Answered(await self._with_verdicts(answer, citations))
                yield event

    async def _cited(self, claim: str, given: Citation) -> Citation:
        """The citation narrowed to the sentences that bear the claim out best."""
        passage = given.passage
        try:
            found = await self._verifier.ground(claim, passage.hit.chunk.text, _context(passage))
        except (Overloaded, Unavailable) as error:
            log.warning("A citation is verified by words alone: %s", error.message)
            return given
        answer = given.answer_start, given.answer_end
        return quote(passage, found.start, found.end, answer, found.finding.score, found.finding.verdict, given.index)

    async def _with_verdicts(self, answer: Answer, citations: Sequence[Citation]) -> Answer:
        answer = replace(answer, citations=tuple(citations))
        sentences = tuple([await self._sentence(answer, sentence) for sentence in answer.sentences])
        support = sum(sentence.score for sentence in sentences) / len(sentences) if sentences else 0.0
        return replace(answer, sentences=sentences, confidence=answer.confidence * support)

    async def _sentence(self, answer: Answer, sentence: Sentence) -> Sentence:
        """Its verdict by all that it cites together; what cites nothing stays unverifiable."""
        cited = [answer.citations[at] for at in sentence.citations]
        if not cited:
            return sentence
        evidence = "\n".join(one.quote for one in cited)
        context = "\n".join(_context(one.passage) for one in cited)
        try:
            finding = await self._verifier.check(answer.text[sentence.start : sentence.end], evidence, context)
        except (Overloaded, Unavailable) as error:
            log.warning("A sentence is verified by words alone: %s", error.message)
            return sentence
        return replace(sentence, verdict=finding.verdict, score=finding.score)

    async def _whole(self, question: Question, passages: Sequence[Passage]) -> Answer:
        events = [event async for event in self._judged(question, passages)]
        assert isinstance(events[-1], Answered)
        return events[-1].answer


def _context(passage: Passage) -> str:
    """What a reader of a quote has before him: its passage, the headings above and the name of the document."""
    return "\n".join((passage.hit.key, *passage.hit.chunk.span.section, passage.hit.chunk.text))


def _failed(answer: Answer) -> list[str]:
    return [answer.text[one.start : one.end] for one in answer.sentences if one.verdict not in _STANDS]


def _asked_again(question: Question, answer: Answer, failed: Sequence[str]) -> Question:
    instructions = _AGAIN + "\n".join(f"- {sentence}" for sentence in failed)
    return replace(question, instructions="\n\n".join(filter(None, (question.instructions, instructions))))


def _better(first: Answer, second: Answer) -> Answer:
    """The one of which more stands, billed for both."""
    used = Usage(
        first.usage.input_tokens + second.usage.input_tokens,
        first.usage.output_tokens + second.usage.output_tokens,
        first.usage.cached_tokens + second.usage.cached_tokens,
    )
    return replace(max((second, first), key=_standing), usage=used)


def _standing(answer: Answer) -> float:
    return 1.0 - len(_failed(answer)) / len(answer.sentences) if answer.sentences else 0.0


def _dropped(answer: Answer, passages: Sequence[Passage]) -> Iterator[AnswerEvent]:
    """The answer without the sentences that do not stand; where none does, that there is no answer."""
    if answer.abstained:
        return _told(answer)
    kept = without_failed(answer)
    if not kept.sentences:
        return abstained(replace(answer, confidence=0.0), AbstainReason.UNSUPPORTED, passages)
    return _told(kept)


def without_failed(answer: Answer) -> Answer:
    """`answer` with only the sentences that stand, whole or in part, each with the white space before it."""
    text = ""
    sentences: list[Sentence] = []
    citations: list[Citation] = []
    before = 0
    for sentence in answer.sentences:
        gap, before = answer.text[before : sentence.start], sentence.end
        if sentence.verdict not in _STANDS:
            continue
        start = len(text := text + (gap if text else ""))
        text += answer.text[sentence.start : sentence.end]
        moved = [_moved(answer.citations[at], start - sentence.start, start, len(text)) for at in sentence.citations]
        own = tuple(range(len(citations), len(citations) + len(moved)))
        citations.extend(moved)
        sentences.append(replace(sentence, start=start, end=len(text), citations=own))
    return replace(answer, text=text, sentences=tuple(sentences), citations=tuple(citations))


def _moved(citation: Citation, by: int, least: int, end: int) -> Citation:
    return replace(
        citation,
        answer_start=max(citation.answer_start + by, least),
        answer_end=citation.answer_end + by,
        index=min(citation.index + by, end),
    )


def _told(answer: Answer) -> Iterator[AnswerEvent]:
    """The events of an answer that is whole already, citations where they belong."""
    sent = 0
    for citation in sorted(answer.citations, key=lambda one: one.index):
        if citation.index > sent:
            yield TextDelta(answer.text[sent : citation.index])
            sent = citation.index
        yield CitationAdded(citation)
    if sent < len(answer.text):
        yield TextDelta(answer.text[sent:])
    yield Answered(answer)
