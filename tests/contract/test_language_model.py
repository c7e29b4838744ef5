"""Answers by a language model behind an OpenAI-compatible server, through the service and the official client.

The server is scripted, over real HTTP; `tests/stack` runs the same against a real vLLM.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm

TEXT = b"# Gate\n\nThe gate opens at six in the morning. It closes at nine in the evening.\n"
QUESTION = "When does the gate open?"
CITED = Reply(pieces=["The gate opens at six ", "in the morning [", "1", "]. It has a moat [9]."])


@pytest.fixture
async def llm() -> AsyncIterator[ScriptedLlm]:
    async with scripted_llm(CITED) as running:
        yield running


@pytest.fixture
async def client(llm: ScriptedLlm, make_service: Callable[..., Any]) -> AsyncIterator[AsyncOpenAI]:
    models = [{"name": "scripted", "base_url": llm.base_url, "model": "scripted", "read_timeout_s": 5}]
    service = make_service(
        CITEWELL_EMBEDDING__MODEL="hashing-256",
        CITEWELL_GENERATION__LLMS=json.dumps(models),
        # The confidence is fitted to a real embedding model, which this is not.
        CITEWELL_GENERATION__LLM_ABSTAIN_BELOW="0",
        CITEWELL_GENERATION__ABSTAIN_BELOW="0",
    )
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, store: str, **arguments: Any) -> Any:
    return await client.responses.create(model=f"scripted@{store}", input=QUESTION, **arguments)


async def make_store(client: AsyncOpenAI) -> str:
    store = await client.vector_stores.create(name="gates")
    file = await client.files.create(file=("gate.md", TEXT), purpose="assistants")
    done = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    assert done.status == "completed"
    return store.id


async def test_markers_become_citations_that_hold(client: AsyncOpenAI, llm: ScriptedLlm) -> None:
    store = await make_store(client)
    reply = await ask(client, store)
    assert reply.output_text == "The gate opens at six in the morning. It has a moat."
    (cited,) = reply.output[1].content[0].annotations
    assert TEXT.decode()[cited.source_start : cited.source_end].strip() or cited.quote
    assert "six in the morning" in cited.quote
    assert cited.verdict == "supported"
    assert [sentence["verdict"] for sentence in reply.sentences] == ["supported", "unverifiable"]
    roles = [message["role"] for message in llm.requests[0]["messages"]]
    assert roles == ["system", "user"]
    assert "gate opens" not in llm.requests[0]["messages"][0]["content"]


async def test_a_stream_is_the_same_answer_in_pieces(client: AsyncOpenAI) -> None:
    store = await make_store(client)
    kinds, text = [], ""
    async with client.responses.stream(model=f"scripted@{store}", input=QUESTION) as stream:
        async for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.output_text.annotation.added":
                assert event.annotation.index == len(text)  # type: ignore[attr-defined]
        final = await stream.get_final_response()
    assert final.output_text == text == "The gate opens at six in the morning. It has a moat."
    assert kinds.count("response.output_text.annotation.added") == 1


async def test_a_client_that_leaves_stops_the_model(client: AsyncOpenAI, llm: ScriptedLlm) -> None:
    store = await make_store(client)
    llm.script = lambda _: Reply(pieces=["word "] * 1000, delay_s=0.05)
    stream = await ask(client, store, stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    async with asyncio.timeout(10):
        await llm.left.wait()


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_client_that_leaves_without_streaming_stops_the_model_too(
    client: AsyncOpenAI, llm: ScriptedLlm, api: str
) -> None:
    store = await make_store(client)
    llm.script = lambda _: Reply(pieces=["word "] * 1000, delay_s=0.05)
    chat = client.chat.completions.create(model=f"scripted@{store}", messages=[{"role": "user", "content": QUESTION}])
    asked = asyncio.ensure_future(chat if api == "chat" else ask(client, store))
    if api != "chat":
        chat.close()
    async with asyncio.timeout(10):
        while not llm.requests:
            await asyncio.sleep(0.01)
        asked.cancel()
        await llm.left.wait()


async def test_a_model_that_is_down_falls_back_and_says_so(client: AsyncOpenAI, llm: ScriptedLlm) -> None:
    store = await make_store(client)
    llm.script = lambda _: Reply(status=503)
    reply = await ask(client, store)
    assert "six in the morning" in reply.output_text
    assert reply.fallback


async def test_a_model_that_breaks_off_ends_the_stream_with_an_error(client: AsyncOpenAI, llm: ScriptedLlm) -> None:
    store = await make_store(client)
    llm.script = lambda _: Reply(pieces=["The gate ", "opens ", "at "], breaks_after=2)
    kinds = [event.type async for event in await ask(client, store, stream=True)]
    assert kinds[-2:] == ["error", "response.failed"]
    with pytest.raises(openai.InternalServerError):
        await ask(client, store)
