"""What the service adds to the time until the first word of an answer, beside a bare vLLM.

    python -m bench.first_token --vllm http://127.0.0.1:8000/v1 --model NAME [--questions 20]

A real service, eight documents, questions asked over HTTP with streaming. The bare server gets the very request that
the service makes of the question (a scripted server, configured as the same model, notes it), by a bare HTTP client.
For answers as JSON that the decoder is held to, then for plain text with markers, these take turns on each question:

- the bare server, until the first word of the answer: what the JSON has before it is in it;
- the bare server without structured output, until its first token: what an app without citations would have;
- a search for the question, of the same service: retrieval, with all that HTTP costs;
- the service, until the first word of the answer.

`added` is over the first word of the bare server, in the median of pairs. Everything is asked once before it counts, so
that prompt and schema are known to the server, and the vector of the question to the service. All repeat themselves
(temperature 0), so that the same tokens come before the same word. Questions to which the model declines to answer are
left out.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from openai import AsyncOpenAI

from bench.report import print_heading, print_table
from bench.service import Service, serving
from bench.timing import Times
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm

_TOPICS = ("leave", "sick pay", "travel", "the canteen", "parking", "laptops", "visitors", "overtime")
# By mode, what ends the question: a model as small as a test's declines to answer in JSON without it.
_MODES = {"json": "\n\nWrite the answer as a JSON list now:", "markers": ""}
_NOTED = "noted-"  # goes before a mode: the answerer whose server only notes what it is asked
_PAUSE_S = 0.05  # the server ends what was cut off

_Body = dict[str, Any]
_SERVER, _PLAIN, _SEARCH, _SERVICE = "server, first word", "server, plain, first token", "search alone", "first word"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, and how: `store` is that of the service; `bare` is an open connection to the server."""

    service: httpx.AsyncClient
    store: str
    bare: httpx.AsyncClient
    noted: ScriptedLlm

    async def noted_body(self, mode: str, question: str) -> _Body:
        """The request that the service makes of the question."""
        async with aclosing(self._answer(_NOTED + mode, question)) as events:
            async for _ in events:
                pass
        return self.noted.requests[-1]

    async def service_word(self, mode: str, question: str) -> float:
        """Seconds until the service sends the first word."""
        began = time.perf_counter()
        async with aclosing(self._answer(mode, question)) as events:
            async for event in events:
                if event["type"] == "response.output_text.delta":
                    return time.perf_counter() - began
        raise RuntimeError(f"the service did not answer: {event}")

    async def server_word(self, body: _Body) -> float | None:
        """Seconds until the bare server has said the first word; None where it declines to answer."""
        opening, said = '[{"text":"' if "response_format" in body else "", ""
        began = time.perf_counter()
        async with aclosing(_data(self.bare, "chat/completions", body)) as chunks:
            async for chunk in chunks:
                said += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
                if len(said) > len(opening):
                    return time.perf_counter() - began
        return None

    async def search(self, question: str) -> float:
        """Seconds until the hits are there."""
        began = time.perf_counter()
        path = f"vector_stores/{self.store}/search"
        (await self.service.post(path, json={"query": question, "max_num_results": 8})).raise_for_status()
        return time.perf_counter() - began

    def _answer(self, answerer: str, question: str) -> AsyncGenerator[Any, None]:
        body = {"model": f"{answerer}@{self.store}", "input": question, "stream": True}
        return _data(self.service, "responses", body)


async def _data(http: httpx.AsyncClient, path: str, body: _Body) -> AsyncGenerator[Any, None]:
    async with http.stream("POST", path, json=body) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                yield orjson.loads(line[6:])


async def timed(asked: Asked, mode: str, questions: Sequence[str]) -> dict[str, Times]:
    """Everyone on every question that the model answers, each beginning as often as the others."""
    times = {name: Times() for name in (_SERVER, _PLAIN, _SEARCH, _SERVICE)}
    for at, question in enumerate(questions):
        body = await asked.noted_body(mode, question)
        plain = {name: value for name, value in body.items() if name != "response_format"}
        asks: dict[str, Callable[[], Awaitable[float | None]]] = {
            _SERVER: lambda body=body: asked.server_word(body),
            _PLAIN: lambda plain=plain: asked.server_word(plain),
            _SEARCH: lambda question=question: asked.search(question),
            _SERVICE: lambda question=question: asked.service_word(mode, question),
        }
        if not all(await asyncio.gather(asked.server_word(body), asked.server_word(plain))):
            continue
        names = list(asks)
        for name in names[at % len(names) :] + names[: at % len(names)]:
            if seconds := await asks[name]():
                times[name].seconds.append(seconds)
            await asyncio.sleep(_PAUSE_S)
    return times


def show(mode: str, times: dict[str, Times]) -> None:
    """The table of one mode; what is added beyond retrieval is what the goal bounds by 30 ms."""
    if not times[_SERVICE].seconds:
        print(f"answers as {mode}: the model declines to answer all questions")
        return
    rows: list[tuple[object, ...]] = [("questions", len(times[_SERVICE].seconds), None)]
    rows += [(name, each.p50_ms, each.p95_ms) for name, each in times.items()]
    over = times[_SERVICE].over_ms(times[_SERVER])
    rows += [
        ("added", over, None),
        ("added beyond retrieval", over - times[_SEARCH].p50_ms, None),
        ("over the plain server", times[_SERVICE].over_ms(times[_PLAIN]), None),
    ]
    print_table((f"answers as {mode}", "p50 ms", "p95 ms"), rows)


async def filled(service: Service) -> str:
    """A store with a document on each topic."""
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        store = await client.vector_stores.create(name="rules")
        for topic in _TOPICS:
            text = f"The rules of {topic} are written down. Ask the office about {topic} before noon. " * 4
            file = (f"{topic}.md", text.encode())
            await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=file, poll_interval_ms=200)
    return store.id


async def measure(vllm: str, model: str, count: int) -> None:
    """Both tables."""
    questions = [f"What do I have to know about {_TOPICS[at % len(_TOPICS)]} on day {at}?" for at in range(count)]
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as home:
        async with scripted_llm(Reply(["Yes."])) as noted:
            with await asyncio.to_thread(_serving, Path(home), vllm, noted.base_url, model) as service:
                key = {"authorization": f"Bearer {service.key}"}
                async with (
                    httpx.AsyncClient(base_url=f"{service.url}/v1/", headers=key, timeout=120) as ours,
                    httpx.AsyncClient(base_url=f"{vllm}/", timeout=120) as bare,
                ):
                    asked = Asked(ours, await filled(service), bare, noted)
                    for mode, ending in _MODES.items():
                        show(mode, await timed(asked, mode, [one + ending for one in questions]))


def _serving(home: Path, vllm: str, noting: str, model: str) -> Any:
    common = {"model": model, "context_tokens": 2048, "max_output_tokens": 64}
    llms = [
        {**common, "name": prefix + mode, "citations": mode, "base_url": url}
        for prefix, url in (("", vllm), (_NOTED, noting))
        for mode in _MODES
    ]
    settings = {
        "CITEWELL_GENERATION__LLMS": json.dumps(llms),
        "CITEWELL_GENERATION__LLM_ABSTAIN_BELOW": "0",
        "CITEWELL_GENERATION__FALLBACK_TO_EXTRACTIVE": "false",
    }
    return serving(home, settings)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", required=True, help="Base URL, up to and with /v1")
    parser.add_argument("--model", required=True, help="Name under which it serves the model")
    parser.add_argument("--questions", type=int, default=30)
    arguments = parser.parse_args()
    print_heading("Time to the first word")
    asyncio.run(measure(arguments.vllm, arguments.model, arguments.questions))


if __name__ == "__main__":
    main()
