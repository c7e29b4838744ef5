"""A language model within a budget: what it took is counted for all processes, and quotes take its place past it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.sse import EventStream
from generation.answering import Answering
from generation.model import Answer, Answered, AnswerEvent, Question, TextDelta, Turn
from generation.scripted_llm import Reply, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.catalog import spending
from indexes.catalog.database import Database
from indexes.catalog.spending import Spending
from indexes.errors import OverBudget
from indexes.model import Chunk, Hit, Scores, Span

TEXT = "The office is closed on Sundays. Dogs are welcome."
HITS = (Hit(Chunk("c", "r", Span(0, len(TEXT), 0, 0), TEXT), Scores(0.5, dense=0.8), "vs", "ixv", "f", "o", "o", {}),)
QUESTION = Question("When is the office closed?")


def within(budget: int, base_url: str, **changes: object) -> GenerationSettings:
    llm = LlmSettings(name="small", base_url=base_url, model="m", tokens_per_day=budget, citations="markers")
    return GenerationSettings.model_validate({"llms": (llm,), "llm_abstain_below": 0, **changes})


async def whole(events: AsyncGenerator[AnswerEvent, None]) -> Answer:
    *_, last = [event async for event in events]
    assert isinstance(last, Answered)
    return last.answer


async def test_past_its_budget_documents_are_quoted_until_the_next_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_llm(Reply(("On Sundays [1].",))) as llm:
        async with Answering.open(within(1, llm.base_url), ledger=Spending(database)) as answering:
            first = await whole(answering.answer("small", QUESTION, HITS))
        assert (first.model, first.fallback) == ("small", None)
        taken = await Spending(database).spent_today("small")
        assert taken == first.usage.input_tokens + first.usage.output_tokens > 0
        asked = len(llm.requests)

        async with Answering.open(within(1, llm.base_url), ledger=Spending(database)) as another_process:
            quoted = await whole(another_process.answer("small", QUESTION, HITS))
            assert (quoted.model, quoted.text) == ("extractive", "The office is closed on Sundays.")
            assert quoted.fallback is not None and "1 tokens of today" in quoted.fallback
            continued = Question("And on Mondays?", history=(Turn("user", "When is the office closed?"),))
            assert (await another_process.standalone("small", continued)).by == "rule"
            assert len(llm.requests) == asked

            today = spending._today()
            monkeypatch.setattr(spending, "_today", lambda: today + 1)
            assert (await whole(another_process.answer("small", QUESTION, HITS))).model == "small"

        alone = within(0, llm.base_url, fallback_to_extractive=False)
        async with Answering.open(alone, ledger=Spending(database)) as answering:
            with pytest.raises(OverBudget, match="tokens_per_day"):
                await whole(answering.answer("small", QUESTION, HITS))


async def test_an_answer_that_nobody_waits_for_is_counted_as_far_as_it_came(database: Database) -> None:
    pieces = ["On ", "Sundays ", "it ", "is ", "closed, ", "as ", "ever."]
    async with (
        scripted_llm(Reply(pieces)) as llm,
        Answering.open(within(10_000, llm.base_url), ledger=Spending(database)) as answering,
        aclosing(answering.answer("small", QUESTION, HITS)) as events,
    ):
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert 50 < await Spending(database).spent_today("small") < 1_000


async def test_without_a_budget_nothing_is_counted(database: Database) -> None:
    async with scripted_llm(Reply(("On Sundays [1].",))) as llm:
        settings = GenerationSettings(llms=(LlmSettings(name="small", base_url=llm.base_url, model="m"),))
        async with Answering.open(settings, ledger=Spending(database)) as answering:
            await whole(answering.answer("small", QUESTION, HITS))
    assert await Spending(database).spent_today("small") == 0


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[str]:
    """Answers of a model as event streams over HTTP; the address."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b"data: begun\n\n"
            async with aclosing(answering.answer("small", QUESTION, HITS)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        yield f"data: {event.text}\n\n".encode()

        await EventStream(pieces())(scope, receive, send)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await task


@pytest.mark.parametrize("awaited", [b"data: begun", b"Sundays"])
async def test_hanging_up_is_not_free(database: Database, awaited: bytes) -> None:
    silent = Reply(["On Sundays it is closed [1]. ", "As ever [1]. ", "Dogs "], delay_s=0.5)
    async with (
        scripted_llm(silent) as llm,
        Answering.open(within(10_000, llm.base_url), ledger=Spending(database)) as answering,
    ):
        async with serving(answering) as url, httpx.AsyncClient() as client, client.stream("GET", url) as reply:
            pieces = reply.aiter_raw()  # kept by name: its end would be the end of the reply
            async for piece in pieces:
                if awaited in piece:
                    break
            while not llm.requests:  # its prompt is sent a moment after the stream began
                await asyncio.sleep(0.01)
            await reply.aclose()
            async with asyncio.timeout(30):
                await llm.left.wait()
        # The server has stopped, so what it had begun is written down.
        assert 50 < await Spending(database).spent_today("small") < 1_000
