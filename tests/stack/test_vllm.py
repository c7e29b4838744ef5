"""Answers by a real vLLM over HTTP, through the service and the official client: `make stack`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from generation.chat_server import ChatServer
from generation.cited_json import FORMAT, schema
from generation.llm import Finished, Message, Sampling
from generation.settings import LlmSettings
from tests.stack.vllm_server import VllmServer

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="function")]

TEXT = (
    "# Gate\n\nThe gate opens at six in the morning. It closes at nine in the evening.\n\n"
    "# Moat\n\nThe moat is four metres deep. It was dug in 1312.\n"
)
QUESTION = "When does the gate open?"
RULES = f"Answer from the passages.\n\n{FORMAT}"
PASSAGES = "[1] The gate opens at six in the morning.\n[2] It closes at nine in the evening.\n\n"


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """One server for all tests; the last one kills it."""
    home = Path(os.environ.get("VLLM_HOME", ".vllm")).resolve()
    if not (home / "bin/python").exists():
        pytest.skip("vLLM is not installed: make stack")
    server = VllmServer(home, tmp_path_factory.mktemp("vllm") / "vllm.log")
    try:
        server.await_ready()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def chat(vllm: VllmServer) -> AsyncIterator[ChatServer]:
    settings = LlmSettings(name="m", base_url=vllm.base_url, model="smollm2", read_timeout_s=120)
    server = ChatServer(settings, vllm.base_url)
    yield server
    await server.aclose()


@pytest.fixture
async def client(vllm: VllmServer, make_service: Callable[..., Any]) -> AsyncIterator[AsyncOpenAI]:
    model = {"base_url": vllm.base_url, "model": "smollm2", "context_tokens": 2048, "read_timeout_s": 120}
    modes = [model | {"name": mode, "citations": mode, "max_output_tokens": 600} for mode in ("json", "markers")]
    service = make_service(
        CITEWELL_EMBEDDING__MODEL="hashing-256",
        CITEWELL_GENERATION__LLMS=json.dumps(modes),
        CITEWELL_GENERATION__LLM_ABSTAIN_BELOW="0",
        CITEWELL_GENERATION__ABSTAIN_BELOW="0",
    )
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0, timeout=300) as client:
        yield client


async def canonical_text(client: AsyncOpenAI, store: str) -> str:
    (file,) = (await client.vector_stores.files.list(store)).data
    return "".join(
        [part.text or "" async for part in client.vector_stores.files.content(file.id, vector_store_id=store)]
    )


async def make_store(client: AsyncOpenAI) -> str:
    store = await client.vector_stores.create(name="gates")
    file = await client.files.create(file=("gate.md", TEXT.encode()), purpose="assistants")
    done = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    assert done.status == "completed"
    return store.id


async def test_the_decoder_keeps_to_the_schema_and_the_prefix_is_cached(chat: ChatServer) -> None:
    said, ends = [], []
    for question in (QUESTION, "When does it close?", "How deep is the moat?"):
        messages = (Message("system", RULES), Message("user", f"{PASSAGES * 6}Question: {question}"))
        pieces = [piece async for piece in chat.stream(messages, Sampling(1.0, 200, schema=schema(2)))]
        assert isinstance(pieces[-1], Finished)
        said.append("".join(piece for piece in pieces if isinstance(piece, str)))
        ends.append(pieces[-1])
    for text, end in zip(said, ends, strict=True):
        if end.reason == "stop":
            assert all(set(one) == {"text", "citations"} for one in json.loads(text))
            assert {number for one in json.loads(text) for number in one["citations"]} <= {1, 2}
        assert end.usage.input_tokens > 0 < end.usage.output_tokens
    assert ends[-1].usage.cached_tokens > 100


async def test_an_answer_streams_with_citations_that_hold(client: AsyncOpenAI) -> None:
    store = await make_store(client)
    final: Any = None
    while final is None or final.abstained:  # so small a model often declines
        text, kinds = "", list[str]()
        async with client.responses.stream(
            model=f"json@{store}", input=QUESTION, max_output_tokens=160, temperature=1.0
        ) as stream:
            async for event in stream:
                kinds.append(event.type)
                if event.type == "response.output_text.delta":
                    text += event.delta
            final = await stream.get_final_response()
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert final.output_text == text
    assert kinds.count("response.output_text.delta") > 3
    source = await canonical_text(client, store)
    for cited in final.output[1].content[0].annotations:
        assert source[cited.source_start : cited.source_end] == cited.quote
    assert final.usage.output_tokens > 0
    assert not final.fallback


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_frees_its_slot(client: AsyncOpenAI, vllm: VllmServer, streamed: bool) -> None:
    store = await make_store(client)
    model = f"markers@{store}"
    async with asyncio.timeout(120):
        if streamed:
            stream = await client.responses.create(model=model, input=QUESTION, temperature=1.0, stream=True)
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
            await stream.close()
        else:
            task = asyncio.ensure_future(client.responses.create(model=model, input=QUESTION, temperature=1.0))
            while not await asyncio.to_thread(vllm.running) and not task.done():
                await asyncio.sleep(0.01)
            task.cancel()
        while await asyncio.to_thread(vllm.running):
            await asyncio.sleep(0.1)


async def test_a_server_that_dies_ends_its_stream_and_quotes_answer_next(client: AsyncOpenAI, vllm: VllmServer) -> None:
    store = await make_store(client)
    kinds = list[str]()
    while kinds[-2:] != ["error", "response.failed"]:  # it may have been all said before the kill
        stream = await client.responses.create(model=f"markers@{store}", input=QUESTION, temperature=1.0, stream=True)
        async for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta" and vllm.alive and await asyncio.to_thread(vllm.running):
                vllm.kill()
    assert "response.output_text.delta" in kinds
    reply: Any = await client.responses.create(model=f"json@{store}", input=QUESTION)
    assert "six in the morning" in reply.output_text
    assert "did not answer" in reply.fallback
