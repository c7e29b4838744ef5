"""What a response is asked with: text, or messages and the items of earlier responses."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from api.wire.base import STORABLE, RequestModel, Text
from generation.model import Question, SupportPolicy, Turn
from indexes.errors import InvalidRequest

MAX_INPUT_CHARS = 1_000_000

InputText = Annotated[str, Field(max_length=MAX_INPUT_CHARS), STORABLE]


class InputTextPart(RequestModel):
    """Text from the user."""

    type: Literal["input_text", "text"]
    text: InputText


class OutputTextPart(RequestModel):
    """Text of an earlier answer, sent back. Its annotations are not read."""

    type: Literal["output_text"]
    text: InputText
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class RefusalPart(RequestModel):
    """An earlier refusal, sent back."""

    type: Literal["refusal"]
    refusal: InputText


ContentPart = Annotated[InputTextPart | OutputTextPart | RefusalPart, Field(discriminator="type")]


class InputMessage(RequestModel):
    """One message of the conversation."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: InputText | Annotated[list[ContentPart], Field(max_length=100)]
    id: Text | None = Field(None, description="Not read.")
    status: Text | None = Field(None, description="Not read.")
    phase: Text | None = Field(None, description="Not read.")

    @property
    def text(self) -> str:
        """All text of the message; parts are joined by line breaks."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in self.content)


class FileSearchCallItem(RequestModel):
    """An earlier search, sent back. It is not read: documents are searched anew for each answer."""

    type: Literal["file_search_call"]
    id: Text | None = None
    status: Text | None = None
    queries: list[Any] | None = None
    results: list[Any] | None = None


def _kind(item: object) -> object:
    return item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")] | Annotated[FileSearchCallItem, Tag("file_search_call")],
    Discriminator(
        _kind,
        custom_error_type="unsupported_parameter",
        custom_error_message="has a `type` that is not supported: send messages",
    ),
]
ResponseInput = InputText | Annotated[list[InputItem], Field(min_length=1, max_length=1000)]


def messages_of(given: str | Sequence[InputMessage | FileSearchCallItem]) -> list[InputMessage]:
    """The messages of an input, oldest first."""
    if isinstance(given, str):
        return [InputMessage(role="user", content=given)]
    return [item for item in given if isinstance(item, InputMessage)]


def conversation(
    turns: Sequence[tuple[str, str]],
    *,
    param: str,
    instructions: str | None = None,
    earlier: Sequence[Turn] = (),
    temperature: float | None = None,
    top_p: float | None = None,
    max_output_tokens: int | None = None,
    unsupported: SupportPolicy | None = None,
) -> Question:
    """The question behind (role, text) pairs, oldest first: the last is asked, the rest is history or instructions.

    `earlier` goes before. Raises InvalidRequest on `param` where the last message is not a user's, or is blank.
    """
    if not turns or turns[-1][0] != "user":
        raise InvalidRequest("The last message must be the user's: it is the question to answer.", param=param)
    *before, (_, text) = turns
    if not text.strip():
        raise InvalidRequest("The question is empty. Send the text to answer.", param=param)
    system = [said for role, said in before if role in ("system", "developer")]
    history = tuple(Turn(role, said) for role, said in before if role in ("user", "assistant"))
    return Question(
        text=text,
        instructions="\n\n".join(filter(None, [instructions, *system])) or None,
        history=(*earlier, *history),
        temperature=temperature,
        top_p=top_p,
        max_output_tokens=max_output_tokens,
        unsupported=unsupported,
    )
