"""The events of a streamed response. `sequence_number` counts from 0 over the whole stream."""

from typing import Any, Literal

from pydantic import Field

from api.wire.base import ReplyModel
from api.wire.citations import FileCitation
from api.wire.responses import OutputItem, OutputText, ResponseObject


class _Event(ReplyModel):
    sequence_number: int = Field(description="Place in the stream, from 0.")


class _ItemPlace(_Event):
    output_index: int = Field(description="Which item of `output`, from 0.")
    item_id: str = Field(description="Id of that item.")


class _PartPlace(_ItemPlace):
    content_index: int = Field(0, description="Which part of the message, from 0.")


class ResponseEvent(_Event):
    """The response as it is now: the first event, and the last."""

    type: Literal[
        "response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"
    ]
    response: ResponseObject


class OutputItemEvent(_Event):
    """An item of the output begins, or is whole."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int = Field(description="Which item of `output`, from 0.")
    item: OutputItem


class FileSearchEvent(_ItemPlace):
    """How far the search is."""

    type: Literal[
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
    ]


class ContentPartEvent(_PartPlace):
    """A part of the message begins, or is whole."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    part: OutputText


class TextDeltaEvent(_PartPlace):
    """More text."""

    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[Any] = Field(default_factory=list)


class AnnotationEvent(_PartPlace):
    """A citation; its `index` is the length of the text so far."""

    type: Literal["response.output_text.annotation.added"] = "response.output_text.annotation.added"
    annotation_index: int = Field(description="Which annotation of the part, from 0.")
    annotation: FileCitation


class TextDoneEvent(_PartPlace):
    """The whole text."""

    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[Any] = Field(default_factory=list)


class ErrorEvent(_Event):
    """What went wrong in the middle; `response.failed` follows."""

    type: Literal["error"] = "error"
    code: str
    message: str
    param: str | None = None


ResponseStreamEvent = (
    ResponseEvent
    | OutputItemEvent
    | FileSearchEvent
    | ContentPartEvent
    | TextDeltaEvent
    | AnnotationEvent
    | TextDoneEvent
    | ErrorEvent
)
