from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from generation.abstain import SAID, Bar, Calibration
from generation.answering import Answering
from generation.cite import holds
from generation.extractive import ExtractiveAnswerer
from generation.model import AbstainReason, Answer, Answered, Passage, Question, TextDelta
from generation.scripted_llm import Reply, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.model import Chunk, Hit, Scores, Span


def passage(number: int, text: str, key: str) -> Passage:
    chunk = Chunk(key, key, Span(7, 7 + len(text), 0, 0), text)
    return Passage(number, Hit(chunk, Scores(0.5, dense=0.8), "vs", "ixv", key, key, key, {}))


def passages_of(texts: tuple[str, ...]) -> list[Passage]:
    return [passage(number, text, f"{number}.md") for number, text in enumerate(texts, start=1)]


@asynccontextmanager
async def model_saying(text: str) -> AsyncIterator[Callable[..., Awaitable[Answer]]]:
    async with scripted_llm(Reply([text])) as llm:
        server = LlmSettings(name="m", base_url=llm.base_url, model="m")
        async with Answering.open(GenerationSettings(llms=(server,))) as answering:

            async def ask_model(question: Question, *texts: str) -> Answer:
                hits = [each.hit for each in passages_of(texts)]
                events = [event async for event in answering.answer("m", question, hits)]
                said = "".join(event.text for event in events if isinstance(event, TextDelta))
                assert isinstance(events[-1], Answered)
                assert said == events[-1].answer.text
                return events[-1].answer

            yield ask_model


async def ask(question: Question, *texts: str, precision: float | None = None) -> Answer:
    passages = passages_of(texts)
    settings = GenerationSettings(answer_precision=precision)
    *_, last = [event async for event in ExtractiveAnswerer(settings).answer(question, passages)]
    assert isinstance(last, Answered)
    return last.answer


@pytest.mark.parametrize(
    ("question", "one", "other", "conflict"),
    [
        ("How many days do staff get?", "Staff get 25 days of leave.", "Staff get 30 days of paid leave.", True),
        ("When is the office closed?", "The office is closed on Sundays.", "The office is closed on Mondays.", True),
        ("May dogs come to the office?", "Dogs may come to the office.", "Dogs may not come to the office.", True),
        ("How many days do staff get?", "Staff get 25 days of leave.", "Staff get 25 days of leave.", False),
        ("How many days do staff get?", "Berlin staff get 25 days off.", "Munich staff get 30 days off.", False),
        ("How much did sales grow?", "In 2019 sales grew by 5 percent.", "In 2020 sales grew by 7 percent.", False),
        ("What do staff get?", "Staff get a report on leave in 2019.", "Staff get a report on leave in 2020.", False),
    ],
)  # fmt: skip
async def test_documents_that_contradict_each_other_are_both_quoted(
    question: str, one: str, other: str, conflict: bool
) -> None:
    answer = await ask(Question(question), one, other)
    assert (answer.abstain_reason is AbstainReason.CONFLICTING) is conflict
    if conflict:
        assert {citation.quote for citation in answer.citations} == {one, other}
        assert all(holds(citation) for citation in answer.citations)
        assert all(answer.text[one.answer_start : one.answer_end] == one.quote for one in answer.citations)
        assert "1.md" in answer.text
        assert "2.md" in answer.text


async def test_a_language_model_that_takes_a_side_is_followed_by_both() -> None:
    said = "The office is closed on Sundays."
    texts = (said, "The office is closed on Mondays.", "The office has a garden.")
    async with model_saying("The office is closed on Sundays [1].") as ask_model:
        answer = await ask_model(Question("When is the office closed?"), *texts)
        agreed = await ask_model(Question("When is the office closed?"), said, *texts[2:])
    assert (answer.abstained, answer.abstain_reason) == (True, AbstainReason.CONFLICTING)
    assert answer.text == f"{said}\n\n{SAID[AbstainReason.CONFLICTING]}\n\n1.md: {said}\n\n2.md: {texts[1]}"
    assert [citation.quote for citation in answer.citations] == [said, said, texts[1]]
    assert all(holds(citation) for citation in answer.citations)
    assert [answer.text[one.start : one.end] for one in answer.sentences] == [said, said, texts[1]]
    assert (agreed.abstained, agreed.text) == (False, said)


async def test_a_language_model_abstains_for_the_same_reasons() -> None:
    async with model_saying("It is on the second floor [1].") as ask_model:
        filtered = await ask_model(Question("Who?", filtered=True))
        unsure = await ask_model(Question("When does it open?", answer_precision=0.99), "It is on the second floor.")
    assert (filtered.abstain_reason, unsure.abstain_reason) == (AbstainReason.FILTERED, AbstainReason.LOW_CONFIDENCE)


async def test_nothing_found_says_whether_a_filter_was_set_and_no_more() -> None:
    assert (await ask(Question("Who?"))).abstain_reason is AbstainReason.NO_HITS
    assert (await ask(Question("Who?", filtered=True))).abstain_reason is AbstainReason.FILTERED


async def test_a_wanted_precision_sets_the_threshold() -> None:
    calibration = Calibration((), (Bar(0.2, 0.7), Bar(0.5, 0.9)))
    assert [calibration.threshold(wanted) for wanted in (0.5, 0.8, 0.99)] == [0.2, 0.5, 0.5]
    question, text = "When does the canteen open?", "The canteen is on the second floor."
    assert not (await ask(Question(question), text, precision=0.01)).abstained
    assert (await ask(Question(question, answer_precision=0.99), text)).abstain_reason is AbstainReason.LOW_CONFIDENCE
