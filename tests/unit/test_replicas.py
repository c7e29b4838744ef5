import asyncio

import pytest

from generation.chat_server import ChatServer
from generation.llm import Finished, LanguageModel, Message, Sampling
from generation.profile import profile_of
from generation.reasoning import ReasoningFilter
from generation.replicas import Replicas
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm
from generation.settings import LlmSettings
from indexes.errors import InvalidRequest, Overloaded, Unavailable

ASKED, SAMPLING = (Message("user", "What is it?"),), Sampling(0.0, 64)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def replicas(*servers: ScriptedLlm, most: int = 2, clock: Clock | None = None) -> Replicas:
    urls = tuple(server.base_url for server in servers)
    settings = LlmSettings(name="m", base_url=urls, model="m", max_concurrency=most)
    models = [ChatServer(settings, url) for url in settings.base_urls]
    return Replicas("m", models, most, rest_s=10, clock=clock or Clock())


async def said(model: LanguageModel) -> str:
    return "".join([piece async for piece in model.stream(ASKED, SAMPLING) if isinstance(piece, str)])


async def test_a_server_that_fails_is_left_out_for_a_while_and_tried_again() -> None:
    clock = Clock()
    async with scripted_llm(Reply(status=503)) as one, scripted_llm(Reply(("two",))) as two:
        model = replicas(one, two, clock=clock)
        assert [await said(model) for _ in range(3)] == ["two"] * 3
        assert (len(one.requests), len(two.requests)) == (1, 3)
        one.script = lambda _: Reply(("one",))
        clock.now = 11
        assert await said(model) == "one"
        await model.aclose()


async def test_half_an_answer_is_not_begun_anew() -> None:
    async with scripted_llm(Reply(("It ", "is"), breaks_after=1)) as one, scripted_llm(Reply(("two",))) as two:
        model = replicas(one, two)
        with pytest.raises(Unavailable):
            await said(model)
        assert two.requests == []
        assert await said(model) == "two"
        await model.aclose()


async def test_what_is_wrong_with_the_request_is_asked_of_one_server_only() -> None:
    async with scripted_llm(Reply(status=400)) as one, scripted_llm(Reply(("two",))) as two:
        model = replicas(one, two)
        with pytest.raises(InvalidRequest):
            await said(model)
        assert two.requests == []
        await model.aclose()


async def test_where_all_rest_the_longest_rested_is_tried() -> None:
    async with scripted_llm(Reply(status=503)) as one, scripted_llm(Reply(status=503)) as two:
        model = replicas(one, two)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await said(model)
        two.script = lambda _: Reply(("two",))
        assert await said(model) == "two"
        await model.aclose()


async def test_the_least_busy_is_asked_and_more_than_all_can_take_is_refused() -> None:
    endless = Reply(("word ",) * 1000, delay_s=0.01)
    async with scripted_llm(endless) as one, scripted_llm(endless) as two:
        model = replicas(one, two, most=1)
        streams = [model.stream(ASKED, SAMPLING) for _ in range(3)]
        await asyncio.gather(anext(streams[0]), anext(streams[1]))
        assert (len(one.requests), len(two.requests)) == (1, 1)
        with pytest.raises(Overloaded):
            await anext(streams[2])
        for stream in streams:
            await stream.aclose()
        async with asyncio.timeout(5):
            await asyncio.gather(one.left.wait(), two.left.wait())
        await model.aclose()


async def test_a_profile_shapes_the_request_and_hides_the_thoughts() -> None:
    async with scripted_llm(Reply(("<thi", "nk>hm [1]</th", "ink>\n\nIt is", " so."))) as server:
        settings = LlmSettings(name="m", base_url=server.base_url, model="org/Qwen3-8B", context_tokens=4096)
        model = ChatServer(settings, server.base_url)
        pieces = [piece async for piece in model.stream(ASKED, SAMPLING)]
        await model.aclose()
    assert (pieces[:-1], isinstance(pieces[-1], Finished)) == (["It is", " so."], True)
    assert server.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert profile_of(settings).context_tokens == 4096


def test_a_model_without_a_system_role_gets_the_rules_from_the_user() -> None:
    profile = profile_of(LlmSettings(name="m", base_url="http://localhost/v1", model="gemma-2-9b-it"))
    shaped = profile.shaped([Message("system", "Rules."), Message("user", "Question?")])
    assert shaped == [Message("user", "Rules.\n\nQuestion?")]


def test_a_conversation_is_sent_in_turns_that_begin_with_the_user() -> None:
    rules, cut_off, answer = Message("system", "Rules."), Message("assistant", "So."), Message("assistant", "Yes.")
    asked, more = Message("user", "Is it?"), Message("user", "And that?")
    shaped = profile_of(LlmSettings(name="m", base_url="http://localhost/v1", model="mistral-7b")).shaped
    assert shaped([rules, cut_off, asked, answer, more]) == [rules, asked, answer, more]
    assert shaped([rules, asked, more]) == [rules, Message("user", "Is it?\n\nAnd that?")]


@pytest.mark.parametrize(
    ("model", "text", "answer"),
    [
        ("qwen3-8b", "It uses <think>.", "It uses <think>."),
        ("qwen3-8b", "<thin", "<thin"),
        ("qwen3-8b", "<think>for ever", ""),
        ("deepseek-r1", "hm</think> Yes", "Yes"),
        ("other", "<think>x</think>y", "<think>x</think>y"),
    ],
)
def test_only_thoughts_before_the_answer_are_hidden(model: str, text: str, answer: str) -> None:
    for pieces in ([text], [*text]):
        thoughts = ReasoningFilter(profile_of(LlmSettings(name="m", base_url="http://localhost/v1", model=model)))
        assert "".join([thoughts.feed(piece) for piece in pieces]) + thoughts.finish() == answer
