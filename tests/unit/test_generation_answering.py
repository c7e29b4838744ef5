import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from generation.answering import Answering
from generation.cite import quote
from generation.model import (
    Answer,
    Answered,
    AnswerEvent,
    CitationAdded,
    Passage,
    Question,
    Sentence,
    TextDelta,
    Verdict,
)
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.errors import NotFound, SettingsError, Unavailable
from indexes.model import Chunk, Hit, Scores, Span

TEXT = "The office is closed on Sundays. Dogs are welcome."
HITS = (Hit(Chunk("c", "r", Span(0, len(TEXT), 0, 0), TEXT), Scores(0.5, dense=0.8), "vs", "ixv", "f", "o", "o", {}),)
QUESTION = Question("When is the office closed?")


def settings(llm: ScriptedLlm, **changes: object) -> GenerationSettings:
    server = LlmSettings(name="small", base_url=llm.base_url, model="m")
    return GenerationSettings.model_validate({"llms": (server,), **changes})


async def whole(events: AsyncGenerator[AnswerEvent, None]) -> Answer:
    *_, last = [event async for event in events]
    assert isinstance(last, Answered)
    return last.answer


async def test_the_named_answerer_answers_and_the_default_when_none_is_named() -> None:
    async with scripted_llm(Reply(("On Sundays [1].",))) as llm, Answering.open(settings(llm)) as answering:
        assert answering.names == ("extractive", "small")
        assert (await whole(answering.answer("small", QUESTION, HITS))).text == "On Sundays."
        assert (await whole(answering.answer("", QUESTION, HITS))).model == "extractive"
        with pytest.raises(NotFound, match="extractive, small"):
            answering.check("large")


async def test_names_that_clash_or_lead_nowhere_are_refused_at_start() -> None:
    server = LlmSettings(name="extractive", base_url="http://localhost/v1", model="m")
    with pytest.raises(SettingsError, match="taken"):
        async with Answering.open(GenerationSettings(llms=(server,))):
            pass
    with pytest.raises(SettingsError, match="default_answerer"):
        async with Answering.open(GenerationSettings(default_answerer="large")):
            pass


async def test_a_server_that_is_down_is_replaced_by_quotes_and_the_answer_says_so() -> None:
    async with scripted_llm(Reply(status=503)) as llm:
        async with Answering.open(settings(llm)) as answering:
            answer = await whole(answering.answer("small", QUESTION, HITS))
            assert answer.model == "extractive"
            assert answer.text == "The office is closed on Sundays."
            assert answer.fallback is not None
            assert "503" in answer.fallback
        async with Answering.open(settings(llm, fallback_to_extractive=False)) as answering:
            with pytest.raises(Unavailable):
                await whole(answering.answer("small", QUESTION, HITS))


async def test_a_server_that_breaks_off_after_text_is_an_error_and_no_fallback() -> None:
    broken = Reply(("On ", "Sun", "days"), breaks_after=2)
    async with scripted_llm(broken) as llm, Answering.open(settings(llm)) as answering:
        with pytest.raises(Unavailable):
            await whole(answering.answer("small", QUESTION, HITS))


class Liar:
    """Cites once rightly and once with a quote that is not there."""

    name = "liar"

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        false = replace(quote(passages[0], 0, 5, (0, 2), 1.0, Verdict.SUPPORTED), quote="False")
        true = quote(passages[0], 0, 3, (0, 2), 1.0, Verdict.SUPPORTED)
        yield TextDelta("It")
        yield CitationAdded(false)
        yield CitationAdded(true)
        yield Answered(Answer("It", self.name, (false, true), (Sentence(0, 2, Verdict.SUPPORTED, 1.0, (0, 1)),)))


async def test_a_citation_that_does_not_hold_is_never_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    answering = Answering({"liar": Liar()}, GenerationSettings(default_answerer="liar"))
    with caplog.at_level(logging.ERROR):
        events = [event async for event in answering.answer("liar", QUESTION, HITS)]
    assert [event.citation.quote for event in events if isinstance(event, CitationAdded)] == ["The"]
    assert isinstance(events[-1], Answered)
    assert [citation.quote for citation in events[-1].answer.citations] == ["The"]
    assert events[-1].answer.sentences[0].citations == (0,)
    assert answering.violations == 1
    assert "does not hold" in caplog.text
