"""A client of one OpenAI-compatible chat server, streaming (the protocol as vLLM speaks it)."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from generation.model import Usage
from generation.settings import LlmSettings
from indexes.errors import Overloaded, Unavailable
from indexes.refusals import no_answer, refusal, server_message

_LONGEST_LINE = 1 << 20  # bytes: a server that sends more without a line break is not speaking this protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen, and how many at most."""

    temperature: float
    max_tokens: int
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a completion; `reason` is the server's: `stop`, `length`, …"""

    reason: str
    usage: Usage


class ChatClient:
    """Connections to one server. `aclose` it."""

    def __init__(self, settings: LlmSettings) -> None:
        key = settings.api_key
        self._settings = settings
        self._in_flight = 0
        self._http = httpx.AsyncClient(
            base_url=settings.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=settings.max_concurrency),
            trust_env=False,  # a proxy for the outside world must not see the passages
        )

    async def aclose(self) -> None:
        """Close all connections; the server drops what it was generating."""
        await self._http.aclose()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """Pieces of text as they are generated, then one Finished. Closing the iterator ends the generation.

        Raises Overloaded, InvalidRequest (the server refuses what is asked) or Unavailable (it does not answer, answers
        nonsense, or breaks off in the middle).
        """
        if self._in_flight >= self._settings.max_concurrency:
            raise Overloaded(f"{self._settings.name} is answering all it can. Try again in a moment.")
        self._in_flight += 1
        try:
            async with self._http.stream("POST", "chat/completions", json=self._body(messages, sampling)) as reply:
                if reply.status_code != httpx.codes.OK:
                    await reply.aread()
                    raise refusal(self._settings.name, reply)
                async with aclosing(self._completion(reply)) as pieces:
                    async for piece in pieces:
                        yield piece
        except httpx.HTTPError as error:
            raise no_answer(self._settings.name, error) from error
        finally:
            self._in_flight -= 1

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return body if sampling.top_p is None else {**body, "top_p": sampling.top_p}

    async def _completion(self, reply: httpx.Response) -> AsyncGenerator[str | Finished, None]:
        reason, usage = None, Usage()
        async for line in _lines(reply):
            if not line.startswith(b"data:"):
                continue
            payload = line[5:].strip()
            if payload == b"[DONE]":
                break
            chunk = self._parsed(payload)
            usage = _usage(chunk.get("usage")) or usage
            for choice in chunk.get("choices") or ():
                if text := (choice.get("delta") or {}).get("content"):
                    yield text
                reason = choice.get("finish_reason") or reason
        if reason is None:
            raise Unavailable(f"{self._settings.name} broke off in the middle of the answer. Try again.")
        yield Finished(reason, usage)

    def _parsed(self, payload: bytes) -> dict[str, Any]:
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise Unavailable(f"{self._settings.name} sent what is not JSON. Is it a chat server?") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise Unavailable(f"{self._settings.name} failed in the middle of the answer: {server_message(payload)}")
        return chunk


async def _lines(reply: httpx.Response) -> AsyncIterator[bytes]:
    """Lines as the event stream format has them. (`aiter_lines` also breaks at U+2028 inside JSON strings.)"""
    rest = b""
    async for data in reply.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _LONGEST_LINE:
            raise httpx.RemoteProtocolError("a line without end")
    yield rest


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, cached)
