"""Chat completions: cited answers for every program that speaks this older API."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from api.wire.base import MAX_COUNT, Id, Refused, ReplyModel, RequestModel, Text
from api.wire.citations import AnswerExtras, FileCitation
from api.wire.file_search import ToolChoice, Tools
from api.wire.response_input import InputText, conversation
from api.wire.responses import PlainText, Sampling
from generation.model import Question, Turn

_NO_FUNCTIONS = Refused("Functions cannot be called here: use the `file_search` tool, or a language model's own API.")
_NO_PENALTIES = Refused("Leave it out, or send 0.", allowed=(0,))
_NO_LOGPROBS = Refused("Answers carry no log probabilities.", allowed=(False, 0))


class ChatTextPart(RequestModel):
    """Text."""

    type: Literal["text"]
    text: InputText


class ChatRefusalPart(RequestModel):
    """An earlier refusal, sent back."""

    type: Literal["refusal"]
    refusal: InputText


_ChatPart = Annotated[ChatTextPart | ChatRefusalPart, Field(discriminator="type")]


class ChatMessageIn(RequestModel):
    """A message from the app or the user."""

    role: Literal["system", "developer", "user"]
    content: InputText | Annotated[list[ChatTextPart], Field(min_length=1, max_length=100)]
    name: Text | None = Field(None, description="Accepted and not used.")

    @property
    def text(self) -> str:
        """All text of the message; parts are joined by line breaks."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class ChatAnswerIn(RequestModel):
    """An earlier answer, sent back. Its annotations are not read."""

    role: Literal["assistant"]
    content: InputText | Annotated[list[_ChatPart], Field(max_length=100)] | None = None
    refusal: InputText | None = None
    name: Text | None = None
    annotations: list[Any] | None = None
    audio: Annotated[Any, Refused("Answers are text.")] = None
    function_call: Annotated[Any, _NO_FUNCTIONS] = None
    tool_calls: Annotated[Any, Refused(_NO_FUNCTIONS.instead, allowed=([],))] = None

    @property
    def text(self) -> str:
        """All text of the message; parts are joined by line breaks."""
        if self.content is None or isinstance(self.content, str):
            return self.content or self.refusal or ""
        return "\n".join(part.text if isinstance(part, ChatTextPart) else part.refusal for part in self.content)


def _role(message: object) -> object:
    role = message.get("role") if isinstance(message, dict) else getattr(message, "role", None)
    return "said" if role in ("system", "developer", "user") else role


ChatMessage = Annotated[
    Annotated[ChatMessageIn, Tag("said")] | Annotated[ChatAnswerIn, Tag("assistant")],
    Discriminator(
        _role,
        custom_error_type="invalid_value",
        custom_error_message="must have a `role` of `system`, `developer`, `user` or `assistant`",
    ),
]


class ChatStreamOptions(RequestModel):
    """Options of streams."""

    include_usage: bool = Field(False, description="End the stream with a chunk that says how many tokens were used.")
    include_obfuscation: bool | None = Field(None, description="Accepted; streams are never padded.")


class ChatCreate(Sampling):
    """A conversation whose last message is to be answered from documents."""

    model: Id | None = Field(
        None,
        description="An answerer of `/v1/models`, or `{answerer}@{store}`, which names the store to answer from. "
        "Left out: the default answerer.",
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)] = Field(
        description="The conversation, oldest first."
    )
    tools: Tools = Field(
        default_factory=list,
        description="One `file_search` tool that names the stores, as in the Responses API. Not needed where `model` "
        "names the store.",
    )
    tool_choice: ToolChoice = Field("auto", description="Files are searched whatever is said here.")
    stream: bool = Field(False, description="Answer as server-sent events.")
    stream_options: ChatStreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_COUNT, description="The older name of `max_completion_tokens`.")
    max_completion_tokens: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="The most tokens a language model may write."
    )
    n: Annotated[int, Refused("One answer is given: leave it out, or send 1.", allowed=(1,))] = 1
    seed: int | None = Field(None, description="Accepted and not used.")
    store: bool | None = Field(None, description="Accepted; only the Responses API stores answers.")
    reasoning_effort: Text | None = Field(None, description="Accepted and not used.")
    verbosity: Text | None = Field(None, description="Accepted and not used.")
    response_format: Annotated[
        PlainText | None, Refused("Answers are plain text with citations: leave it out.", allowed=({"type": "text"},))
    ] = None
    modalities: Annotated[list[str] | None, Refused("Answers are text: leave it out.", allowed=(["text"],))] = None
    stop: Annotated[Any, Refused("Use `max_completion_tokens` to bound an answer.", allowed=([],))] = None
    frequency_penalty: Annotated[float | None, _NO_PENALTIES] = None
    presence_penalty: Annotated[float | None, _NO_PENALTIES] = None
    logit_bias: Annotated[Any, Refused("Leave it out.", allowed=({},))] = None
    logprobs: Annotated[bool | None, _NO_LOGPROBS] = None
    top_logprobs: Annotated[int | None, _NO_LOGPROBS] = None
    functions: Annotated[Any, Refused(_NO_FUNCTIONS.instead, allowed=([],))] = None
    function_call: Annotated[Any, Refused(_NO_FUNCTIONS.instead, allowed=("none", "auto"))] = None
    web_search_options: Annotated[Any, Refused("Answers come from the store's documents alone.")] = None
    audio: Annotated[Any, Refused("Answers are text: leave it out.")] = None

    @property
    def includes_usage(self) -> bool:
        """Whether a stream shall end with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def to_question(self, earlier: Sequence[Turn] = ()) -> Question:
        """What is asked. Raises InvalidRequest where the last message is not a user's, or is blank."""
        return conversation(
            [(message.role, message.text) for message in self.messages],
            param="messages",
            earlier=earlier,
            temperature=self.temperature,
            top_p=self.top_p,
            max_output_tokens=self.max_completion_tokens or self.max_tokens,
            unsupported=self.unsupported,
        )


class PromptTokensDetails(ReplyModel):
    """Tokens read, by kind."""

    cached_tokens: int = 0


class CompletionUsage(ReplyModel):
    """Tokens that a language model read and wrote; 0 where none was asked."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class ChatAnswer(ReplyModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(description="The answer. Offsets into it count Unicode code points.")
    refusal: None = Field(None, description="Always null; see `abstained`.")
    annotations: list[FileCitation] = Field(description="Its citations, as in the Responses API.")


FinishReason = Literal["stop", "length", "content_filter"]


class ChatChoice(ReplyModel):
    """The one choice."""

    index: int = 0
    message: ChatAnswer
    finish_reason: FinishReason = Field(description="`length`: the answer stopped at the most tokens allowed.")
    logprobs: None = None


class ChatCompletion(AnswerExtras):
    """An answer with its citations."""

    id: str = Field(description="Identifier, `chatcmpl-…`.")
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="When it was asked, Unix seconds.")
    model: str = Field(description="The answerer.")
    choices: list[ChatChoice]
    usage: CompletionUsage


class ChatDelta(ReplyModel):
    """What a chunk adds; what it does not is left out."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: list[FileCitation] | None = Field(
        None, description="Citations that belong at the end of the text so far."
    )

    @model_serializer(mode="wrap")
    def _without_nulls(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}


class ChatChunkChoice(ReplyModel):
    """The one choice."""

    index: int = 0
    delta: ChatDelta
    finish_reason: FinishReason | None = None
    logprobs: None = None


class ChatCompletionChunk(ReplyModel):
    """A piece of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice] = Field(description="One, or none in the chunk that carries the usage.")
    usage: CompletionUsage | None = None


class ChatLastChunk(ChatCompletionChunk, AnswerExtras):
    """The chunk with the `finish_reason`: what the evidence says of the whole answer."""
