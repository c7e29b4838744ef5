"""Answers as server-sent events, in the order and the shapes of OpenAI's two answer APIs.

Source of the order: recorded traffic of the Responses API with file search; each event has its model in
`api/wire/response_events.py`.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Literal, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.chat_draft import ChatDraft
from api.errors import detail_of
from api.limits import Capacity
from api.response_draft import AskEvent, AskEvents, ResponseDraft, Searched
from api.wire.chat import ChatCompletionChunk, ChatDelta
from api.wire.citations import FileCitation
from api.wire.errors import ErrorReply
from api.wire.response_events import (
    AnnotationEvent,
    ContentPartEvent,
    ErrorEvent,
    FileSearchEvent,
    OutputItemEvent,
    ResponseEvent,
    ResponseStreamEvent,
    TextDeltaEvent,
    TextDoneEvent,
)
from api.wire.responses import OutputText, ResponseObject
from generation.model import Answer, Answered, Citation, CitationAdded, TextDelta

logger = logging.getLogger(__name__)

T = TypeVar("T")
DONE = b"data: [DONE]\n\n"

# What a route that can stream answers too, for OpenAPI.
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string", "description": "With `stream`: true."}}}}
}


async def response_events(
    draft: ResponseDraft, events: AskEvents, keep: Callable[[ResponseObject], Awaitable[None]] | None = None
) -> AsyncGenerator[ResponseStreamEvent, None]:
    """The stream of one response. The last event is a `ResponseEvent`; `keep` stores its object before it is sent.

    Whatever `events` or `keep` raises becomes an `error` event and `response.failed`. Closing this closes `events`.
    """
    steps = _ResponseSteps(draft)
    for begin in steps.begin():
        yield begin
    try:
        async with aclosing(events):
            async for event in events:
                for step in steps.on(event):
                    if keep is not None and isinstance(step, ResponseEvent):
                        await keep(step.response)
                    yield step
    except Exception as error:
        logger.exception("response %s failed while it was streamed", draft.id)
        for step in steps.fail(error):
            yield step


async def chat_chunks(draft: ChatDraft, events: AskEvents, *, usage: bool) -> AsyncGenerator[bytes, None]:
    """The encoded stream of one chat completion; `usage` adds the chunk that counts tokens.

    Whatever `events` raises ends the stream with an error object, which the official client raises.
    """
    yield encode_chunk(draft.chunk(ChatDelta(role="assistant", content="")))
    try:
        async with aclosing(events):
            async for event in events:
                for chunk in _chat_steps(draft, event, usage=usage):
                    yield encode_chunk(chunk)
    except Exception as error:
        logger.exception("chat completion %s failed while it was streamed", draft.id)
        yield f"data: {ErrorReply(error=detail_of(error)).model_dump_json()}\n\n".encode()
    yield DONE


async def primed(stream: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Run to the first item, so that what goes wrong until then is an HTTP error and not a broken stream."""
    return _resumed(await anext(stream), stream)


async def bounded(capacity: Capacity, stream: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The stream, holding one place of `capacity` until it ends. The first item raises Overloaded if none is free."""
    async with capacity, aclosing(stream):
        async for item in stream:
            yield item


async def _resumed(first: T, stream: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    async with aclosing(stream):
        yield first
        async for item in stream:
            yield item


async def gather(events: AskEvents) -> tuple[Searched, Answer]:
    """Both ends of `events`, for a reply that does not stream. What they raise goes through."""
    searched, answer = Searched((), ()), None
    async with aclosing(events):
        async for event in events:
            match event:
                case Searched():
                    searched = event
                case Answered():
                    answer = event.answer
    assert answer is not None, "the last event of an answerer is Answered"
    return searched, answer


def encode_event(event: ResponseStreamEvent) -> bytes:
    """One event of a response on the wire."""
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


def encode_chunk(chunk: ChatCompletionChunk) -> bytes:
    """One chunk of a chat completion on the wire."""
    return f"data: {chunk.model_dump_json()}\n\n".encode()


class EventStream(StreamingResponse):
    """The reply that carries encoded events. A client that hangs up closes their source at once."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        # x-accel-buffering: proxies that buffer would hold back every event until the end.
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, or as many as the client stays for; return when their source has ended.

        Starlette would send them in a scope of anyio's, which cancels every `await` of the source's `finally` again:
        what an answer took would not be counted, and connections to the catalog would be torn.
        """
        sending, gone = asyncio.create_task(self.stream_response(send)), asyncio.create_task(_hang_up(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.wait((sending, gone))
        if not sending.cancelled():
            sending.result()

    async def stream_response(self, send: Send) -> None:
        """Send all events."""
        async with aclosing(self._content):
            await super().stream_response(send)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _ResponseSteps:
    """Turns what happens into events with running numbers. The search is item 0 of the output, the message item 1."""

    def __init__(self, draft: ResponseDraft) -> None:
        self._draft = draft
        self._numbers = itertools.count()
        self._annotations = itertools.count()
        self._searched: Searched | None = None

    def begin(self) -> Iterator[ResponseStreamEvent]:
        response, search = self._draft.begun(), self._draft.search_id
        yield ResponseEvent(type="response.created", sequence_number=self._next(), response=response)
        yield ResponseEvent(type="response.in_progress", sequence_number=self._next(), response=response)
        call = self._draft.search_call(None)
        yield OutputItemEvent(
            type="response.output_item.added", sequence_number=self._next(), output_index=0, item=call
        )
        for state in ("response.file_search_call.in_progress", "response.file_search_call.searching"):
            yield FileSearchEvent(type=state, sequence_number=self._next(), output_index=0, item_id=search)

    def on(self, event: AskEvent) -> Iterator[ResponseStreamEvent]:
        match event:
            case Searched():
                yield from self._on_searched(event)
            case TextDelta(text):
                yield TextDeltaEvent(
                    sequence_number=self._next(), output_index=1, item_id=self._draft.message_id, delta=text
                )
            case CitationAdded(citation):
                yield self._annotation(citation)
            case Answered(answer):
                yield from self._on_answered(answer)

    def fail(self, error: Exception) -> Iterator[ResponseStreamEvent]:
        detail = detail_of(error)
        yield ErrorEvent(sequence_number=self._next(), code=detail.code, message=detail.message, param=detail.param)
        failed = self._draft.failed(detail, self._searched)
        yield ResponseEvent(type="response.failed", sequence_number=self._next(), response=failed)

    def _on_searched(self, searched: Searched) -> Iterator[ResponseStreamEvent]:
        self._searched = searched
        yield FileSearchEvent(
            type="response.file_search_call.completed",
            sequence_number=self._next(),
            output_index=0,
            item_id=self._draft.search_id,
        )
        call, message = self._draft.search_call(searched), self._draft.message(None)
        yield OutputItemEvent(type="response.output_item.done", sequence_number=self._next(), output_index=0, item=call)
        yield OutputItemEvent(
            type="response.output_item.added", sequence_number=self._next(), output_index=1, item=message
        )
        yield self._part("response.content_part.added", OutputText(text="", annotations=[]))

    def _annotation(self, citation: Citation) -> AnnotationEvent:
        return AnnotationEvent(
            sequence_number=self._next(),
            output_index=1,
            item_id=self._draft.message_id,
            annotation_index=next(self._annotations),
            annotation=FileCitation.from_citation(citation),
        )

    def _on_answered(self, answer: Answer) -> Iterator[ResponseStreamEvent]:
        assert self._searched is not None, "the first event is Searched"
        message = self._draft.message(answer)
        yield TextDoneEvent(sequence_number=self._next(), output_index=1, item_id=message.id, text=answer.text)
        yield self._part("response.content_part.done", message.content[0])
        yield OutputItemEvent(
            type="response.output_item.done", sequence_number=self._next(), output_index=1, item=message
        )
        response = self._draft.finished(self._searched, answer, completed_at=int(time.time()))
        kind = "response.incomplete" if answer.incomplete else "response.completed"
        yield ResponseEvent(type=kind, sequence_number=self._next(), response=response)

    def _part(
        self, kind: Literal["response.content_part.added", "response.content_part.done"], part: OutputText
    ) -> ContentPartEvent:
        return ContentPartEvent(
            type=kind, sequence_number=self._next(), output_index=1, item_id=self._draft.message_id, part=part
        )

    def _next(self) -> int:
        return next(self._numbers)


def _chat_steps(draft: ChatDraft, event: AskEvent, *, usage: bool) -> Iterator[ChatCompletionChunk]:
    match event:
        case TextDelta(text):
            yield draft.chunk(ChatDelta(content=text))
        case CitationAdded(citation):
            yield draft.chunk(ChatDelta(annotations=[FileCitation.from_citation(citation)]))
        case Answered(answer):
            yield draft.last(answer)
            if usage:
                yield draft.usage(answer)
