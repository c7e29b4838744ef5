"""One chat completion from the moment it is asked: the whole reply, and its chunks."""

from dataclasses import dataclass

from api.wire.chat import (
    ChatAnswer,
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatDelta,
    ChatLastChunk,
    CompletionUsage,
    FinishReason,
    PromptTokensDetails,
)
from api.wire.citations import annotations, answer_extras
from generation.model import Answer, Usage


@dataclass(frozen=True, slots=True)
class ChatDraft:
    """What is known of a chat completion when it is asked. `created` is in Unix seconds."""

    id: str
    created: int
    model: str
    trace_id: str | None = None

    def whole(self, answer: Answer) -> ChatCompletion:
        """The reply to a request that does not stream."""
        message = ChatAnswer(content=answer.text, annotations=annotations(answer))
        return ChatCompletion(
            **dict(answer_extras(answer, self.trace_id)),
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[ChatChoice(message=message, finish_reason=_finish_reason(answer))],
            usage=_usage(answer.usage),
        )

    def chunk(self, delta: ChatDelta) -> ChatCompletionChunk:
        """More of the answer."""
        return ChatCompletionChunk(
            id=self.id, created=self.created, model=self.model, choices=[ChatChunkChoice(delta=delta)]
        )

    def last(self, answer: Answer) -> ChatLastChunk:
        """The end of the answer."""
        return ChatLastChunk(
            **dict(answer_extras(answer, self.trace_id)),
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[ChatChunkChoice(delta=ChatDelta(), finish_reason=_finish_reason(answer))],
        )

    def usage(self, answer: Answer) -> ChatCompletionChunk:
        """What follows the end where the usage is asked for."""
        return ChatCompletionChunk(
            id=self.id, created=self.created, model=self.model, choices=[], usage=_usage(answer.usage)
        )


def _finish_reason(answer: Answer) -> FinishReason:
    match answer.incomplete:
        case None:
            return "stop"
        case "content_filter":
            return "content_filter"
        case _:
            return "length"


def _usage(usage: Usage) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )
