import asyncio

import pytest

from generation.answering import language_model
from generation.llm import Finished, LanguageModel, Message, Sampling
from generation.model import Usage
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm
from generation.settings import LlmSettings
from indexes.errors import CitewellError, InvalidRequest, Overloaded, Unavailable

ASKED = (Message("user", "What is it?"),)
SAMPLING = Sampling(0.0, 64)


def client(llm: ScriptedLlm, **changes: object) -> LanguageModel:
    return language_model(LlmSettings.model_validate({"name": "m", "base_url": llm.base_url, "model": "m", **changes}))


async def everything(chat: LanguageModel) -> list[str | Finished]:
    try:
        return [piece async for piece in chat.stream(ASKED, SAMPLING)]
    finally:
        await chat.aclose()


async def test_text_streams_and_the_usage_comes_last() -> None:
    pieces = ("It ", "is\u2028", "so.")  # a line separator inside a string is no line break of the protocol
    async with scripted_llm(Reply(pieces)) as llm:
        got = await everything(client(llm, api_key="secret"))
    assert got == [*pieces, Finished("stop", Usage(3, 3))]
    assert llm.requests[0]["messages"] == [{"role": "user", "content": "What is it?"}]
    assert llm.requests[0]["stream_options"] == {"include_usage": True}


async def test_the_answer_is_seen_whoever_takes_the_thoughts_out() -> None:
    for reply in (Reply(("It ", "is."), thought="Well."), Reply(("Well.</think>", "It ", "is."))):
        async with scripted_llm(reply) as llm:
            *pieces, _ = await everything(client(llm, model="deepseek-r1"))
        assert "".join(map(str, pieces)) == "It is."


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=400, message="too long"), InvalidRequest),
        (Reply(status=401), Unavailable),
        (Reply(status=429), Overloaded),
        (Reply(status=503), Unavailable),
        (Reply(("It ", "is"), breaks_after=1), Unavailable),
        (Reply(("It ", "is"), fails_after=1), Unavailable),
    ],
)
async def test_failures_of_the_server_have_their_own_errors(reply: Reply, error: type[CitewellError]) -> None:
    async with scripted_llm(reply) as llm:
        with pytest.raises(error) as raised:
            await everything(client(llm))
    assert reply.breaks_after or reply.message in raised.value.message


async def test_a_silent_or_missing_server_is_unavailable() -> None:
    async with scripted_llm(Reply(("slow",), delay_s=5)) as llm:
        with pytest.raises(Unavailable, match="did not answer"):
            await everything(client(llm, first_token_timeout_s=0.05))
        with pytest.raises(Unavailable, match=r"silent for 0.05 s"):
            await everything(client(llm, read_timeout_s=5, first_token_timeout_s=0.05))
    with pytest.raises(Unavailable, match="did not answer"):
        await everything(client(llm))


async def test_closing_the_stream_stops_the_server() -> None:
    async with scripted_llm(Reply(("word ",) * 1000, delay_s=0.01)) as llm:
        chat = client(llm)
        stream = chat.stream(ASKED, SAMPLING)
        assert await anext(stream) == "word "
        await stream.aclose()
        async with asyncio.timeout(5):
            await llm.left.wait()
        await chat.aclose()


async def test_more_than_the_allowed_streams_are_refused_at_once() -> None:
    async with scripted_llm(Reply(("a", "b"))) as llm:
        chat = client(llm, max_concurrency=1)
        first = chat.stream(ASKED, SAMPLING)
        await anext(first)
        with pytest.raises(Overloaded):
            await anext(chat.stream(ASKED, SAMPLING))
        await first.aclose()
        assert len(await everything(chat)) == 3
