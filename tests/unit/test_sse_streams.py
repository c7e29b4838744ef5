"""Streams: OpenAI's own types read every event, and its client follows them over HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import openai
import pytest
import uvicorn
from fastapi import FastAPI, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response as OpenAIResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from api import errors
from api.chat_draft import ChatDraft
from api.middleware import middleware
from api.response_draft import AskEvent, AskEvents, ResponseDraft, Searched
from api.sse import EventStream, chat_chunks, encode_event, gather, response_events
from api.wire.chat import ChatCompletion, ChatCreate
from api.wire.responses import ResponseCreate, ResponseObject
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    Citation,
    CitationAdded,
    Passage,
    Sentence,
    TextDelta,
    Usage,
    Verdict,
)
from indexes.errors import CitewellError, Overloaded, Unavailable
from indexes.model import Chunk, Hit, Scores, Span

SOURCE = "Staff may take 25 days of leave a year. Ask the office first."
HIT = Hit(
    chunk=Chunk("chunk_1", "rev_1", Span(0, len(SOURCE), 0, 14, page_start=3, section=("Leave",)), SOURCE),
    scores=Scores(fused=0.9, dense=0.7),
    store_id="vs_1",
    index_version="ixv_1",
    file_id="file-1",
    filename="leave.md",
    key="hr/leave.md",
    attributes={"year": 2026.0},
)
SEARCHED = Searched(("How much leave?",), (HIT,))
TOOLS = [{"type": "file_search", "vector_store_ids": ["vs_1"]}]


def _citation(start: int, end: int) -> Citation:
    return Citation(Passage(1, HIT), SOURCE[:39], 0, 39, 3, start, end, index=end, score=0.8, verdict=Verdict.SUPPORTED)


def _script(sentences: Sequence[str], **changes: object) -> list[AskEvent]:
    events: list[AskEvent] = [SEARCHED]
    text, citations, verdicts = "", [], []
    for number, sentence in enumerate(sentences):
        start, text = len(text), text + sentence
        citation = _citation(start, len(text))
        events += [*(TextDelta(letter) for letter in sentence), CitationAdded(citation)]
        citations.append(citation)
        verdicts.append(Sentence(start, len(text), Verdict.SUPPORTED, 0.8, (number,)))
    answer = Answer(text, "extractive", tuple(citations), tuple(verdicts), confidence=0.8, usage=Usage(10, 4))
    return [*events, Answered(replace(answer, **changes))]  # type: ignore[arg-type]


async def _play(script: Sequence[AskEvent | Exception]) -> AskEvents:
    for event in script:
        await asyncio.sleep(0)
        if isinstance(event, Exception):
            raise event
        yield event


def _draft(**fields: object) -> ResponseDraft:
    request = ResponseCreate.model_validate(
        {"model": "extractive", "input": "How much leave?", "tools": TOOLS, **fields}
    )
    return ResponseDraft("resp_1", "fs_1", "msg_1", 1_700_000_000, "extractive", request, "trace_1")


OFFICIAL: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


async def test_the_order_is_the_recorded_one() -> None:
    events = [event async for event in response_events(_draft(), _play(_script(["Yes."])))]
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 4,
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


@settings(deadline=None)  # it decides what, not how fast
@given(st.lists(st.text(min_size=1, max_size=12), max_size=4))
async def test_a_stream_adds_up_to_the_whole_reply(sentences: list[str]) -> None:
    script = _script(sentences)
    draft = _draft(include=["file_search_call.results"])
    events = [event async for event in response_events(draft, _play(script))]
    read = [OFFICIAL.validate_json(encode_event(event).split(b"\ndata: ", 1)[1]) for event in events]
    assert [event.sequence_number for event in read] == list(range(len(read)))
    text = ""
    for event in read:
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.output_text.annotation.added":
            assert event.annotation.index == len(text)
    last = events[-1]
    searched, answer = await gather(_play(script))
    assert last.response == draft.finished(searched, answer, last.response.completed_at)
    assert text == answer.text == OpenAIResponse.model_validate_json(last.response.model_dump_json()).output_text


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (Unavailable("The model server does not answer."), "unavailable", "server_error"),
        (Overloaded("Full."), "overloaded", "rate_limit_exceeded"),
        (ZeroDivisionError("secret"), "internal_error", "server_error"),
    ],
)
async def test_a_failure_in_the_middle_ends_the_stream_by_name(error: Exception, code: str, problem: str) -> None:
    script = [SEARCHED, TextDelta("Sta"), error]
    events = [event async for event in response_events(_draft(), _play(script))]
    read = [OFFICIAL.validate_json(event.model_dump_json()) for event in events]
    assert (read[-2].type, read[-2].code) == ("error", code)
    assert (read[-1].type, read[-1].response.error.code) == ("response.failed", problem)
    assert "secret" not in str(read)


async def test_an_answer_that_cannot_be_kept_fails_by_name() -> None:
    async def keep(_: ResponseObject) -> None:
        raise Unavailable("The catalog does not answer.")

    events = [event async for event in response_events(_draft(), _play(_script(["Yes."])), keep)]
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]


async def test_an_abstention_says_so_beside_the_text() -> None:
    script = _script([], text="The documents do not say.", abstained=True, abstain_reason=AbstainReason.NO_HITS)
    *_, last = [event async for event in response_events(_draft(), _play(script))]
    assert (last.response.abstained, last.response.abstain_reason) == (True, "no_hits")
    assert last.response.output[1].content[0].text == "The documents do not say."


async def test_closing_a_stream_stops_the_answerer() -> None:
    closed = False

    async def source() -> AskEvents:
        nonlocal closed
        try:
            yield SEARCHED
            yield TextDelta("Sta")
            raise AssertionError("nobody reads on")
        finally:
            closed = True

    stream = response_events(_draft(), source())
    async for event in stream:
        if event.type == "response.output_text.delta":
            break
    await stream.aclose()
    assert closed


def _app(script: Sequence[AskEvent | Exception]) -> FastAPI:
    app = FastAPI(middleware=middleware(max_json_bytes=1_000_000))
    errors.install(app)

    @app.post("/v1/responses", response_model=None)
    async def respond(request: ResponseCreate) -> Response | ResponseObject:
        draft = ResponseDraft("resp_1", "fs_1", "msg_1", 1_700_000_000, "extractive", request, "trace_1")
        if request.stream:
            return EventStream(encode_event(event) async for event in response_events(draft, _play(script)))
        return draft.finished(*await gather(_play(script)), completed_at=1_700_000_001)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: ChatCreate) -> Response | ChatCompletion:
        draft = ChatDraft("chatcmpl-1", 1_700_000_000, "extractive", "trace_1")
        if request.stream:
            return EventStream(chat_chunks(draft, _play(script), usage=request.includes_usage))
        return draft.whole((await gather(_play(script)))[1])

    return app


@asynccontextmanager
async def _client(script: Sequence[AskEvent | Exception]) -> AsyncIterator[openai.AsyncOpenAI]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(_app(script), log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


async def test_the_official_client_follows_a_response_stream() -> None:
    async with _client(_script(["25 days. ", "Ask first."])) as client:
        async with client.responses.stream(model="extractive", input="How much leave?", tools=TOOLS) as stream:  # type: ignore[arg-type]
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        whole = await client.responses.create(
            model="extractive",
            input="How much leave?",
            tools=TOOLS,
            include=["file_search_call.results"],  # type: ignore[arg-type]
        )
    assert "".join(deltas) == final.output_text == whole.output_text == "25 days. Ask first."
    assert final.trace_id == "trace_1"
    assert final.sentences[1]["text"] == "Ask first."
    note = final.output[1].content[0].annotations[0]
    assert (note.type, note.index, note.quote, note.page) == ("file_citation", 9, SOURCE[:39], 3)
    assert (final.output[0].results, whole.output[0].results[0].chunk_id) == (None, "chunk_1")
    assert whole.usage.total_tokens == 14


async def test_the_official_client_follows_a_chat_stream() -> None:
    question = [{"role": "user", "content": "How much leave?"}]
    async with _client(_script(["25 days."], incomplete="max_output_tokens")) as client:
        stream = await client.chat.completions.create(
            model="extractive",
            messages=question,
            stream=True,
            stream_options={"include_usage": True},  # type: ignore[arg-type]
        )
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(model="extractive", messages=question)  # type: ignore[arg-type]
    *body, last, usage = [ChatCompletionChunk.model_validate(chunk.model_dump()) for chunk in chunks]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in body) == "25 days."
    notes = [note for chunk in body for note in getattr(chunk.choices[0].delta, "annotations", None) or ()]
    assert [note["index"] for note in notes] == [8]
    assert (last.choices[0].finish_reason, last.confidence) == ("length", 0.8)
    assert (usage.choices, usage.usage.total_tokens) == ([], 14)
    assert whole.choices[0].message.annotations[0].quote == SOURCE[:39]
    assert json.loads(whole.model_dump_json())["sentences"][0]["verdict"] == "supported"


async def test_the_official_client_raises_what_broke_a_chat_stream() -> None:
    broken: CitewellError = Unavailable("The model server broke off. Try again.")
    async with _client([SEARCHED, TextDelta("25"), broken]) as client:
        stream = await client.chat.completions.create(
            model="extractive", messages=[{"role": "user", "content": "?"}], stream=True
        )
        with pytest.raises(openai.APIError, match="broke off"):
            _ = [chunk async for chunk in stream]
