"""What generation adds to the time until the first word of an answer, beside a bare vLLM.

    python -m bench.first_token --vllm http://127.0.0.1:8000/v1 --model NAME [--questions 30]

Eight passages and a question are asked in turns: of `Answering`, until its first word; and of the server itself, by a
bare HTTP client with the very same request, until its first token and until the first word in it (what a decoder held
to JSON writes before is in both). Each question is asked once before, so that its prompt is cached for all of them.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from statistics import median, quantiles
from typing import Any

import httpx
import orjson

from bench.report import print_heading, print_table
from generation.answering import Answering
from generation.chat_server import request_body
from generation.llm import Finished, Message, Sampling
from generation.llm_answerer import LlmAnswerer
from generation.model import Passage, Question, TextDelta, Usage
from generation.profile import profile_of
from generation.prompt import seed
from generation.settings import GenerationSettings, LlmSettings
from indexes.model import Chunk, Hit, Scores, Span

_TOPICS = ("leave", "sick pay", "travel", "the canteen", "parking", "laptops", "visitors", "overtime")
_JSON_OPENS = '[{"text":"'


class _Recorder:
    """A language model that says nothing and notes what it is asked."""

    def __init__(self, llm: LlmSettings) -> None:
        self._llm = llm
        self.body: dict[str, Any] = {}

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """Notes the request."""
        self.body = request_body(self._llm.model, profile_of(self._llm), messages, sampling)
        yield Finished("stop", Usage())

    async def aclose(self) -> None:
        """Nothing is open."""


def _hits() -> list[Hit]:
    texts = [
        f"The rules of {topic} are written down. Ask the office about {topic} before noon. " * 4 for topic in _TOPICS
    ]
    return [
        Hit(
            Chunk(f"c{at}", f"r{at}", Span(0, len(text), 0, 0), text),
            Scores(0.5, dense=0.8),
            "vs",
            "ixv",
            "f",
            "k",
            "k",
            {},
        )
        for at, text in enumerate(texts)
    ]


async def _first_word(answering: Answering, question: Question, hits: Sequence[Hit]) -> float:
    started = time.perf_counter()
    async with aclosing(answering.answer("llm", question, hits)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    return (time.perf_counter() - started) * 1e3


async def _bare(http: httpx.AsyncClient, body: dict[str, Any]) -> tuple[float, float]:
    """Milliseconds to the first token, and to the first word in the JSON."""
    started, first, said = time.perf_counter(), 0.0, ""
    async with http.stream("POST", "chat/completions", json=body) as reply:
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            for choice in orjson.loads(line[6:])["choices"]:
                said += choice["delta"].get("content") or ""
            first = first or (time.perf_counter() - started) * 1e3 * bool(said)
            if len(said) > len(_JSON_OPENS) or said == "[]":
                break
    return first, (time.perf_counter() - started) * 1e3


async def measure(base_url: str, model: str, count: int) -> None:
    """The table."""
    llm = LlmSettings(name="llm", base_url=base_url, model=model, context_tokens=2048, max_output_tokens=64)
    settings = GenerationSettings(llms=(llm,), llm_abstain_below=0.0, fallback_to_extractive=False)
    recorder, hits, words, tokens, ours = _Recorder(llm), _hits(), list[float](), list[float](), list[float]()
    passages = [Passage(number, hit) for number, hit in enumerate(hits, start=1)]
    async with Answering.open(settings) as answering, httpx.AsyncClient(base_url=f"{base_url}/", timeout=120) as http:
        for at in range(count):
            question = Question(f"What do I have to know about {_TOPICS[at % len(_TOPICS)]} on day {at}?")
            _ = [event async for event in LlmAnswerer(llm, settings, recorder, seed()).answer(question, passages)]
            await _bare(http, recorder.body)
            for turn in range(2):
                if turn == at % 2:
                    token, word = await _bare(http, recorder.body)
                    tokens.append(token)
                    words.append(word)
                else:
                    ours.append(await _first_word(answering, question, hits))
    added = [mine - bare for mine, bare in zip(ours, words, strict=True)]
    rows = [
        (name, median(times), quantiles(times, n=20)[-1])
        for name, times in (
            ("server, first token", tokens),
            ("server, first word", words),
            ("answering, first word", ours),
            ("added", added),
        )
    ]
    print_table(("", "p50 ms", "p95 ms"), rows)


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
