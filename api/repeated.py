"""A stored response once more as events: for a client that repeats a streamed request by its Idempotency-Key."""

import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

from api.sse import encode_event
from api.wire.response_events import (
    AnnotationEvent,
    ContentPartEvent,
    FileSearchEvent,
    OutputItemEvent,
    ResponseEvent,
    ResponseStreamEvent,
    TextDeltaEvent,
    TextDoneEvent,
)
from api.wire.responses import OutputMessage, OutputText, ResponseObject

_BEGUN: dict[str, object] = {
    "status": "in_progress",
    "output": [],
    "completed_at": None,
    "usage": None,
    "incomplete_details": None,
}

_SEARCH = (
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
)


async def stored_stream(body: Mapping[str, object]) -> AsyncGenerator[bytes, None]:
    """The events of `stored_events`, encoded, of a response as it was stored."""
    for event in stored_events(ResponseObject.model_validate(body)):
        yield encode_event(event)


def stored_events(stored: ResponseObject) -> Iterator[ResponseStreamEvent]:
    """What the stream of the response was, its text in one piece; in the order of `response_events`."""
    numbers = itertools.count()

    def number() -> int:
        return next(numbers)

    begun = stored.model_copy(update=_BEGUN)
    yield ResponseEvent(type="response.created", sequence_number=number(), response=begun)
    yield ResponseEvent(type="response.in_progress", sequence_number=number(), response=begun)
    for place, item in enumerate(stored.output):
        empty: dict[str, object] = (
            {"content": []} if isinstance(item, OutputMessage) else {"queries": [], "results": None}
        )
        started = item.model_copy(update={"status": "in_progress", **empty})
        yield OutputItemEvent(
            type="response.output_item.added", sequence_number=number(), output_index=place, item=started
        )
        if isinstance(item, OutputMessage):
            yield from _message(item, place, number)
        else:
            for state in _SEARCH:
                yield FileSearchEvent(type=state, sequence_number=number(), output_index=place, item_id=item.id)
        yield OutputItemEvent(type="response.output_item.done", sequence_number=number(), output_index=place, item=item)
    last = "response.incomplete" if stored.status == "incomplete" else "response.completed"
    yield ResponseEvent(type=last, sequence_number=number(), response=stored)


def _message(message: OutputMessage, place: int, number: Callable[[], int]) -> Iterator[ResponseStreamEvent]:
    for part in message.content:
        where = {"output_index": place, "item_id": message.id}
        empty = OutputText(text="", annotations=[])
        yield ContentPartEvent(type="response.content_part.added", sequence_number=number(), part=empty, **where)
        yield TextDeltaEvent(sequence_number=number(), delta=part.text, **where)
        for index, citation in enumerate(part.annotations):
            yield AnnotationEvent(sequence_number=number(), annotation_index=index, annotation=citation, **where)
        yield TextDoneEvent(sequence_number=number(), text=part.text, **where)
        yield ContentPartEvent(type="response.content_part.done", sequence_number=number(), part=part, **where)
