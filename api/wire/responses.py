"""The Responses API: cited answers that are stored and can be continued."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.wire.base import MAX_COUNT, Id, Listed, Metadata, Refused, ReplyModel, RequestModel, Text
from api.wire.citations import AnswerExtras, FileCitation
from api.wire.file_search import FileSearchCall, FileSearchTool, ToolChoice, Tools
from api.wire.response_input import InputText, ResponseInput, conversation, messages_of
from generation.model import Question, SupportPolicy, Turn

ResponseStatus = Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
INCLUDE_RESULTS = "file_search_call.results"

_PLAIN_TEXT = Refused('Answers are plain text with citations: leave it out, or send {"type": "text"}.')
_FORMATS = Refused(_PLAIN_TEXT.instead, allowed=({"type": "text"},))


class PlainText(RequestModel):
    """Plain text, the only format."""

    type: Literal["text"] = "text"


class TextConfig(RequestModel):
    """How text is given."""

    format: Annotated[PlainText, _FORMATS] = Field(default_factory=PlainText)
    verbosity: Literal["low", "medium", "high"] | None = Field(None, description="Echoed; changes nothing.")


class Reasoning(RequestModel):
    """Settings of reasoning models: echoed, and not used."""

    effort: Text | None = None
    summary: Text | None = None
    generate_summary: Text | None = None
    context: Text | None = None
    mode: Text | None = None


class ResponseStreamOptions(RequestModel):
    """Options of streams."""

    include_obfuscation: bool | None = Field(None, description="Accepted; streams are never padded.")


class PromptReference(RequestModel):
    """A prompt of `/v1/prompts` to answer with."""

    id: Id = Field(description="Its name or id.")
    version: Id | None = Field(None, description="Number, id or hash of a version; left out: the one in force.")
    variables: Annotated[Any, Refused("Prompts have no variables of the app's own: use `instructions`.")] = None


class Sampling(RequestModel):
    """What both answer APIs let a client say beside the question. Only language models have a use for sampling.

    Null is as good as nothing where there is a default: OpenAI's API takes it so, and its clients send it.
    """

    temperature: float | None = Field(None, ge=0, le=2, description="How freely a language model writes.")
    top_p: float | None = Field(None, ge=0, le=1, description="Nucleus sampling.")
    unsupported: SupportPolicy | None = Field(
        None,
        description="What becomes of sentences of a language model that their citations do not bear out: `flag`, "
        "`drop` or `regenerate` (once). Left out: as the service is set. The last two stream only what is checked.",
    )
    parallel_tool_calls: bool = Field(True, description="Echoed; there is one tool.")
    metadata: Metadata | None = None
    service_tier: Text | None = Field(None, description="Accepted and not used.")
    safety_identifier: Text | None = Field(
        None,
        description="Echoed. While a new index version answers a share of the queries, the same value, or else that of "
        "`user` or `prompt_cache_key`, is always answered by the same one.",
    )
    prompt_cache_key: Text | None = Field(None, description="Echoed; see `safety_identifier`.")
    prompt_cache_retention: Text | None = Field(None, description="Accepted and not used.")
    user: Text | None = Field(None, description="Echoed; see `safety_identifier`.")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, said: object) -> object:
        if not isinstance(said, dict):
            return said
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in said.items() if value is not None or name not in optional}

    @property
    def session(self) -> str | None:
        """Whose requests belong together, as far as the app says."""
        return self.safety_identifier or self.user or self.prompt_cache_key


class ResponseCreate(Sampling):
    """A question to answer from documents."""

    model: Id | None = Field(
        None, description="An answerer of `/v1/models`, or `{answerer}@{store}`. Left out: the default answerer."
    )
    input: ResponseInput = Field(description="The question, or the conversation that ends with it.")
    instructions: InputText | None = Field(None, description="What a language model is told beside the question.")
    tools: Tools = Field(default_factory=list, description="One `file_search` tool that names the stores.")
    tool_choice: ToolChoice = Field("auto", description="Files are searched whatever is said here.")
    include: Annotated[
        list[Literal["file_search_call.results", "reasoning.encrypted_content"]], Field(max_length=10)
    ] = Field(default_factory=list, description="`file_search_call.results` adds what was found to the reply.")
    stream: bool = Field(False, description="Answer as server-sent events.")
    stream_options: ResponseStreamOptions | None = None
    previous_response_id: Id | None = Field(None, description="The stored response that this one continues.")
    store: bool = Field(True, description="Keep the response, so that it can be fetched and continued.")
    max_output_tokens: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="The most tokens a language model may write."
    )
    max_tool_calls: int | None = Field(None, ge=1, le=MAX_COUNT, description="Echoed; there is one search.")
    truncation: Literal["auto", "disabled"] = Field("disabled", description="Echoed; passages always fit the model.")
    text: TextConfig = Field(default_factory=TextConfig)
    reasoning: Reasoning | None = None
    background: Annotated[bool, Refused("Leave it out, and use `stream` for long answers.", allowed=(False,))] = False
    conversation: Annotated[Any, Refused("Use `previous_response_id` to continue a conversation.")] = None
    prompt: PromptReference | None = Field(None, description="Left out: what is in force for the store.")
    top_logprobs: Annotated[int | None, Refused("Answers carry no log probabilities.", allowed=(0,))] = None

    @property
    def includes_results(self) -> bool:
        """Whether the reply shall carry what was found."""
        return INCLUDE_RESULTS in self.include

    def to_question(self, earlier: Sequence[Turn] = ()) -> Question:
        """What is asked, after the turns of the response that it continues. Raises InvalidRequest."""
        return conversation(
            [(message.role, message.text) for message in messages_of(self.input)],
            param="input",
            instructions=self.instructions,
            earlier=earlier,
            temperature=self.temperature,
            top_p=self.top_p,
            max_output_tokens=self.max_output_tokens,
            unsupported=self.unsupported,
        )


class OutputText(ReplyModel):
    """The text of an answer."""

    type: Literal["output_text"] = "output_text"
    text: str = Field(description="The answer. Offsets into it count Unicode code points.")
    annotations: list[FileCitation] = Field(description="Its citations.")
    logprobs: list[Any] = Field(default_factory=list, description="Always empty.")


class OutputMessage(ReplyModel):
    """The message that holds the answer."""

    id: str = Field(description="Identifier, `msg_…`.")
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[OutputText]


OutputItem = Annotated[FileSearchCall | OutputMessage, Field(discriminator="type")]


class InputTokensDetails(ReplyModel):
    """Tokens read, by kind."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(ReplyModel):
    """Tokens written, by kind."""

    reasoning_tokens: int = 0


class ResponseUsage(ReplyModel):
    """Tokens that a language model read and wrote; 0 where none was asked."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class ResponseProblem(ReplyModel):
    """Why a response failed, in OpenAI's codes."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(ReplyModel):
    """Why an answer stopped early."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseObject(AnswerExtras):
    """An answer, with what was asked for, what was searched and what it cites."""

    id: str = Field(description="Identifier, `resp_…`.")
    object: Literal["response"] = "response"
    created_at: int = Field(description="When it was asked, Unix seconds.")
    completed_at: int | None = Field(None, description="When it was answered, Unix seconds.")
    status: ResponseStatus = Field(description="How far it is.")
    error: ResponseProblem | None = Field(None, description="Why it failed; null unless failed.")
    incomplete_details: IncompleteDetails | None = Field(None, description="Why it stopped early; null unless it did.")
    model: str = Field(description="The answerer.")
    output: list[OutputItem] = Field(default_factory=list, description="The search, then the message.")
    usage: ResponseUsage | None = Field(None, description="Tokens; null while the answer is being made.")
    instructions: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    previous_response_id: str | None = None
    prompt: PromptReference | None = None
    store: bool = True
    background: bool = False
    parallel_tool_calls: bool = True
    tool_choice: ToolChoice = "auto"
    tools: list[FileSearchTool] = Field(default_factory=list)
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    truncation: Literal["auto", "disabled"] = "disabled"
    text: TextConfig = Field(default_factory=TextConfig)
    reasoning: Reasoning | None = None
    service_tier: Literal["default"] = "default"
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None


class ResponseDeleted(ReplyModel):
    """The stored response is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputItemMessage(Listed):
    """A message that a response was asked with."""

    id: str = Field(description="Identifier, `msg_…`.")
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    status: Literal["completed"] = "completed"
    content: list[dict[str, Any]] = Field(description='Parts: `{"type": "input_text", "text": …}`.')
