"""What requests and stores say of how sure answers must be, through the service and the official client."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from generation.scripted_llm import Reply, scripted_llm

TEXT = b"# Gate\n\nThe gate opens at six in the morning. It closes at nine in the evening.\n"
QUESTION = "When does the gate open?"
SAID = Reply(pieces=["The gate opens at six in the morning [1]. It has a moat."])


async def test_requests_drop_what_does_not_stand_and_stores_set_their_precision(
    make_service: Callable[..., Any],
) -> None:
    async with scripted_llm(SAID) as llm:
        service = make_service(
            CITEWELL_EMBEDDING__MODEL="hashing-256",
            CITEWELL_GENERATION__LLMS=json.dumps([{"name": "scripted", "base_url": llm.base_url, "model": "m"}]),
            CITEWELL_GENERATION__LLM_ABSTAIN_BELOW="0",
            CITEWELL_GENERATION__ABSTAIN_BELOW="0",
        )
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0) as client:
            store = (await client.vector_stores.create(name="gates")).id
            file = await client.files.create(file=("gate.md", TEXT), purpose="assistants")
            await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store, poll_interval_ms=50)

            async def ask(answerer: str, **arguments: Any) -> Any:
                return await client.responses.create(model=f"{answerer}@{store}", input=QUESTION, **arguments)

            assert (await ask("scripted")).output_text.endswith("It has a moat.")
            dropped = await ask("scripted", extra_body={"unsupported": "drop"})
            assert dropped.output_text == "The gate opens at six in the morning."
            with pytest.raises(openai.BadRequestError, match="unsupported"):
                await ask("scripted", extra_body={"unsupported": "hide"})

            nothing = {"type": "eq", "key": "area", "value": "moat"}
            tools = [{"type": "file_search", "vector_store_ids": [store], "filters": nothing}]
            empty = await client.responses.create(model="extractive", input=QUESTION, tools=tools)  # type: ignore[call-overload]
            assert empty.abstain_reason == "filtered"

            assert not (await ask("extractive")).abstained
            await client.vector_stores.update(store, metadata={"citewell.answer_precision": "0.99"})
            assert (await ask("extractive")).abstain_reason == "low_confidence"
            await client.vector_stores.update(store, metadata={"citewell.answer_precision": "sure"})
            with pytest.raises(openai.BadRequestError, match="answer_precision"):
                await ask("extractive")
            await client.vector_stores.update(store, metadata={"citewell.orders": "forbid"})
            with pytest.raises(openai.BadRequestError, match=r"citewell\.orders.*'forbid'.*exclude, flag, allow"):
                await ask("extractive")
