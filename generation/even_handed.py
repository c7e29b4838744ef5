"""Answers that name the documents which contradict what they rest on, whoever wrote them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from generation.candidates import candidates
from generation.conflict import Conflict, find_contradicted, told
from generation.model import Answer, Answered, Answerer, AnswerEvent, Passage, Question


class EvenHandedAnswerer:
    """Lets another answerer finish; where a passage contradicts what it cites, both sides follow as quotes.

    Such an answer is `conflicting`, as one by quotation is: what was said cannot be taken back from a stream, but it
    must not stand alone.
    """

    def __init__(self, answerer: Answerer) -> None:
        self.name = answerer.name
        self._answerer = answerer

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        """See `Answerer`."""
        async with aclosing(self._answerer.answer(question, passages)) as events:
            async for event in events:
                conflict = None
                if isinstance(event, Answered):
                    conflict = await asyncio.to_thread(_contradicted, question, passages, event.answer)
                if isinstance(event, Answered) and conflict:
                    for more in told(conflict, event.answer):
                        yield more
                else:
                    yield event


def _contradicted(question: Question, passages: Sequence[Passage], answer: Answer) -> Conflict | None:
    if answer.abstained or answer.incomplete or not answer.citations:
        return None
    return find_contradicted(question.standalone or question.text, candidates(passages), answer.citations)
