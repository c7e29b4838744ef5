"""One OpenAI-compatible chat server, streaming (the protocol as vLLM speaks it)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import orjson

from generation.llm import Finished, Message, Sampling
from generation.model import Usage
from generation.profile import ModelProfile, profile_of
from generation.reasoning import ReasoningFilter
from generation.settings import LlmSettings
from indexes.errors import Unavailable
from indexes.refusals import no_answer, refusal, server_message

_LONGEST_LINE = 1 << 20  # bytes: a server that sends more without a line break is not speaking this protocol


class ChatServer:
    """Connections to one server; see `LanguageModel`."""

    def __init__(self, settings: LlmSettings, base_url: str) -> None:
        key = settings.api_key
        self._settings = settings
        self._profile = profile_of(settings)
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),  # reading has limits of its own here
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=settings.max_concurrency),
            trust_env=False,  # a proxy for the outside world must not see the passages
        )

    async def aclose(self) -> None:
        """Close all connections; the server drops what it was generating."""
        await self._http.aclose()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """See `LanguageModel`."""
        thoughts = ReasoningFilter(self._profile)
        body = request_body(self._settings.model, self._profile, messages, sampling)
        try:
            async with self._reply(body) as reply, aclosing(self._completion(reply, thoughts)) as pieces:
                async for piece in pieces:
                    text = thoughts.feed(piece) if isinstance(piece, str) else thoughts.finish()
                    if text:
                        yield text
                    if isinstance(piece, Finished):
                        yield piece
        except httpx.HTTPError as error:
            raise no_answer(self._settings.name, error) from error

    @asynccontextmanager
    async def _reply(self, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """The reply whose head has arrived; leaving closes its connection, which makes the server stop."""
        try:
            async with asyncio.timeout(self._settings.first_token_timeout_s):
                reply = await self._sent(body)
        except TimeoutError as error:
            raise self._silent(self._settings.first_token_timeout_s) from error
        async with aclosing(reply):
            if reply.status_code != httpx.codes.OK:
                await reply.aread()
                raise refusal(self._settings.name, reply)
            yield reply

    async def _sent(self, body: dict[str, Any]) -> httpx.Response:
        request = self._http.build_request("POST", "chat/completions", json=body)
        try:
            return await self._http.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            # The server closed a kept connection as it was taken up again: nothing was generated for this request.
            return await self._http.send(request, stream=True)

    async def _completion(
        self, reply: httpx.Response, thoughts: ReasoningFilter
    ) -> AsyncGenerator[str | Finished, None]:
        reason, usage = None, Usage()
        async with aclosing(self._chunks(reply)) as chunks:
            async for chunk in chunks:
                usage = _usage(chunk.get("usage")) or usage
                for choice in chunk.get("choices") or ():
                    delta = choice.get("delta") or {}
                    if delta.get("reasoning_content") or delta.get("reasoning"):
                        thoughts.come_apart()
                    if text := delta.get("content"):
                        yield text
                    reason = choice.get("finish_reason") or reason
        if reason is None:
            raise Unavailable(f"{self._settings.name} broke off in the middle of the answer. Try again.")
        yield Finished(reason, usage)

    async def _chunks(self, reply: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
        """The data of the event stream until its end, waited for no longer than the settings say."""
        limit_s = self._settings.first_token_timeout_s
        async with aclosing(_lines(reply)) as lines:
            while True:
                try:
                    async with asyncio.timeout(limit_s):
                        line = await anext(lines, None)
                except TimeoutError as error:
                    raise self._silent(limit_s) from error
                if line is None:
                    return
                if line.startswith(b"data:"):
                    data = line.removeprefix(b"data:").strip()
                    if data == b"[DONE]":
                        return
                    chunk = self._parsed(data)
                    yield chunk
                    if _has_text(chunk):
                        limit_s = self._settings.read_timeout_s

    def _silent(self, limit_s: float) -> Unavailable:
        return Unavailable(f"{self._settings.name} did not answer: silent for {limit_s:g} s. Try again.")

    def _parsed(self, payload: bytes) -> dict[str, Any]:
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise Unavailable(f"{self._settings.name} sent what is not JSON. Is it a chat server?") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise Unavailable(f"{self._settings.name} failed in the middle of the answer: {server_message(payload)}")
        return chunk


def request_body(model: str, profile: ModelProfile, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """The request as the server takes it; what the model's profile asks for is in it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in profile.shaped(messages)],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **profile.extra_body,
    }
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.schema is not None:
        named = {"name": "answer", "schema": dict(sampling.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


async def _lines(reply: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Lines as the event stream format has them. (`aiter_lines` also breaks at U+2028 inside JSON strings.)"""
    rest = b""
    async for data in reply.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(rest) > _LONGEST_LINE:
            raise httpx.RemoteProtocolError("a line without end")
    yield rest


def _has_text(chunk: dict[str, Any]) -> bool:
    """Whether generation has begun; a chunk that only says the role has not."""
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
    return any(delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") for delta in deltas)


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, cached)
