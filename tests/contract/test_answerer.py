"""What every answerer must keep to, run on each of them: the language model is a scripted server over HTTP."""

from collections.abc import AsyncIterator

import pytest

from generation.answering import Answering
from generation.cite import holds
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    AnswerEvent,
    Citation,
    CitationAdded,
    Question,
    TextDelta,
    Turn,
    Verdict,
)
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.model import Chunk, Hit, Scores, Span

LEAVE = "Full-time staff get 25 days of paid leave a year. Up to five days can be carried over to March."
SICK = "Staff who are ill get paid sick leave for six weeks. A note is needed after three days."
QUESTION = Question(
    "How many days of paid leave do staff get?", history=(Turn("user", "Hi"), Turn("assistant", "Hello"))
)
SAID = Reply(
    ("Staff get 25 days of paid leave", " [", "1", "]. ", "Sick leave is paid for six weeks [2,", " 7].", " Enjoy!\n")
)


def hit(key: str, text: str, start: int, dense: float) -> Hit:
    chunk = Chunk(f"chunk-{key}", key, Span(start, start + len(text), 0, 0, 3, 3), text)
    return Hit(chunk, Scores(dense, dense=dense), "vs", "ixv", f"file-{key}", key, key, {})


HITS = (hit("leave.md", LEAVE, 40, 0.8), hit("sick.md", SICK, 0, 0.5))


@pytest.fixture
async def llm() -> AsyncIterator[ScriptedLlm]:
    async with scripted_llm(SAID) as server:
        yield server


@pytest.fixture
async def answering(llm: ScriptedLlm) -> AsyncIterator[Answering]:
    servers = (
        LlmSettings(name="llm", base_url=llm.base_url, model="m", citations="markers"),
        LlmSettings(name="constrained", base_url=llm.base_url, model="m", citations="json"),
    )
    async with Answering.open(GenerationSettings(llms=servers)) as opened:
        yield opened


async def events(
    answering: Answering, name: str, question: Question = QUESTION, hits: tuple[Hit, ...] = HITS
) -> list[AnswerEvent]:
    return [event async for event in answering.answer(name, question, hits)]


def final(found: list[AnswerEvent]) -> Answer:
    assert isinstance(found[-1], Answered)
    return found[-1].answer


@pytest.mark.parametrize("name", ["extractive", "llm", "constrained"])
async def test_the_stream_is_the_answer_and_every_citation_holds(answering: Answering, name: str) -> None:
    found = await events(answering, name)
    text, citations = "", list[Citation]()
    for event in found[:-1]:
        match event:
            case TextDelta(more):
                text += more
            case CitationAdded(citation):
                assert citation.index == len(text)
                citations.append(citation)
    answer = final(found)
    assert (answer.text, list(answer.citations), answer.model) == (text, citations, name)
    assert citations
    assert not answer.abstained
    for citation in citations:
        assert holds(citation)
        assert 0 <= citation.answer_start < citation.answer_end <= citation.index <= len(text)
        assert 0.0 <= citation.score <= 1.0
        assert citation.page == 3
    assert all(0 <= at < len(citations) for sentence in answer.sentences for at in sentence.citations)


@pytest.mark.parametrize("name", ["extractive", "llm", "constrained"])
async def test_without_hits_it_abstains_and_asks_no_model(answering: Answering, llm: ScriptedLlm, name: str) -> None:
    answer = final(await events(answering, name, hits=()))
    assert (answer.abstained, answer.abstain_reason, answer.citations) == (True, AbstainReason.NO_HITS, ())
    assert answer.text
    assert not llm.requests


@pytest.mark.parametrize("name", ["extractive", "llm", "constrained"])
async def test_a_question_about_something_else_is_not_answered(
    answering: Answering, llm: ScriptedLlm, name: str
) -> None:
    far = tuple(hit(one.key, one.chunk.text, 0, 0.02) for one in HITS)
    answer = final(await events(answering, name, Question("Who won the football world cup?"), far))
    assert (answer.abstained, answer.abstain_reason) == (True, AbstainReason.LOW_CONFIDENCE)
    assert not llm.requests


async def test_a_models_markers_become_verified_citations(answering: Answering, llm: ScriptedLlm) -> None:
    answer = final(await events(answering, "llm"))
    assert answer.text == "Staff get 25 days of paid leave. Sick leave is paid for six weeks. Enjoy!"
    assert [citation.quote for citation in answer.citations] == [
        "Full-time staff get 25 days of paid leave a year.",
        "Staff who are ill get paid sick leave for six weeks.",
    ]
    assert [answer.text[one.answer_start : one.answer_end] for one in answer.citations] == [
        "Staff get 25 days of paid leave",
        "Sick leave is paid for six weeks",
    ]
    assert [sentence.verdict for sentence in answer.sentences] == [
        Verdict.SUPPORTED,
        Verdict.SUPPORTED,
        Verdict.UNVERIFIABLE,
    ]
    assert answer.dropped_markers == 1
    assert answer.usage.output_tokens == len(SAID.pieces)
    assert answer.prompt_version is not None
    assert [message["role"] for message in llm.requests[0]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "pieces",
    [
        ("NO_ANSWER",),
        ("NO", "_ANS", "WER", ". Sorry [1]."),
        (
            " **NO_",
            "ANSWER**",
        ),
        (),
    ],
)
async def test_a_model_that_declines_abstains(answering: Answering, llm: ScriptedLlm, pieces: tuple[str, ...]) -> None:
    llm.script = lambda _: Reply(pieces)
    found = await events(answering, "llm")
    answer = final(found)
    assert (answer.abstained, answer.abstain_reason) == (True, AbstainReason.UNSUPPORTED)
    assert "NO" not in "".join(event.text for event in found if isinstance(event, TextDelta))


async def test_an_answer_that_hits_the_limit_says_so(answering: Answering, llm: ScriptedLlm) -> None:
    llm.script = lambda _: Reply(("No", " days"), finish="length")
    answer = final(await events(answering, "llm"))
    assert (answer.text, answer.incomplete) == ("No days", "max_output_tokens")


async def test_a_passage_that_does_not_fit_in_the_context_cannot_be_cited(llm: ScriptedLlm) -> None:
    server = LlmSettings(name="llm", base_url=llm.base_url, model="m", citations="markers", context_tokens=2048)
    endless = hit("sick.md", "sick leave " * 1000, 0, 0.5)
    async with Answering.open(GenerationSettings(llms=(server,))) as answering:
        answer = final(await events(answering, "llm", hits=(HITS[0], endless)))
    assert "sick leave" not in llm.requests[0]["messages"][-1]["content"]
    assert (len(answer.citations), answer.dropped_markers) == (1, 2)


async def test_the_callers_parameters_reach_the_model(answering: Answering, llm: ScriptedLlm) -> None:
    question = Question(QUESTION.text, instructions="Be brief.", temperature=0.5, top_p=0.9, max_output_tokens=7)
    await events(answering, "llm", question)
    sent = llm.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.5, 0.9, 7)
    assert "Be brief." in sent["messages"][0]["content"]
    assert LEAVE not in sent["messages"][0]["content"]
    assert LEAVE in sent["messages"][-1]["content"]
