"""One response from the moment it is asked: every state of its object, for streams and whole replies alike."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from api.wire.citations import AnswerExtras, annotations, answer_extras
from api.wire.errors import ErrorDetail
from api.wire.file_search import FileSearchCall, FileSearchResult
from api.wire.responses import (
    IncompleteDetails,
    InputTokensDetails,
    OutputItem,
    OutputMessage,
    OutputText,
    OutputTokensDetails,
    ResponseCreate,
    ResponseObject,
    ResponseProblem,
    ResponseStatus,
    ResponseUsage,
)
from generation.model import Answer, AnswerEvent, Usage
from indexes.model import Hit

_ECHOED = (ResponseObject.model_fields.keys() & ResponseCreate.model_fields.keys()) - {"model", "service_tier"}
_PROBLEMS: dict[str, Literal["rate_limit_exceeded", "invalid_prompt"]] = {
    "rate_limit_error": "rate_limit_exceeded",
    "invalid_request_error": "invalid_prompt",
}


@dataclass(frozen=True, slots=True)
class Searched:
    """The search behind an answer is done: what was searched for, and what was found, best first."""

    queries: tuple[str, ...]
    hits: tuple[Hit, ...]


AskEvent = Searched | AnswerEvent
AskEvents = AsyncGenerator[AskEvent, None]
"""All that happens to one question: `Searched`, then the answerer's events, of which `Answered` is the last."""


@dataclass(frozen=True, slots=True)
class ResponseDraft:
    """What is known of a response when it is asked. `created_at` is in Unix seconds."""

    id: str
    search_id: str
    message_id: str
    created_at: int
    model: str
    request: ResponseCreate
    trace_id: str | None = None

    def begun(self) -> ResponseObject:
        """Nothing is done yet."""
        return self._object("in_progress", extras=AnswerExtras(trace_id=self.trace_id))

    def failed(self, detail: ErrorDetail, searched: Searched | None) -> ResponseObject:
        """It cannot be answered."""
        problem = ResponseProblem(code=_PROBLEMS.get(detail.type, "server_error"), message=detail.message)
        output = [self.search_call(searched)] if searched else []
        return self._object("failed", output, error=problem, extras=AnswerExtras(trace_id=self.trace_id))

    def finished(self, searched: Searched, answer: Answer, completed_at: int) -> ResponseObject:
        """It is answered, whole or as far as `answer.incomplete` says."""
        details = IncompleteDetails(reason=_reason(answer.incomplete)) if answer.incomplete else None
        return self._object(
            "incomplete" if details else "completed",
            [self.search_call(searched), self.message(answer)],
            incomplete_details=details,
            completed_at=completed_at,
            usage=_usage(answer.usage),
            extras=answer_extras(answer, self.trace_id),
        )

    def search_call(self, searched: Searched | None) -> FileSearchCall:
        """The first item of the output; None: the search is under way."""
        if searched is None:
            return FileSearchCall(id=self.search_id, status="in_progress")
        results = [FileSearchResult.from_hit(hit) for hit in searched.hits] if self.request.includes_results else None
        return FileSearchCall(id=self.search_id, status="completed", queries=list(searched.queries), results=results)

    def message(self, answer: Answer | None) -> OutputMessage:
        """The second item of the output; None: the answer is being made."""
        if answer is None:
            return OutputMessage(id=self.message_id, status="in_progress", content=[])
        text = OutputText(text=answer.text, annotations=annotations(answer))
        return OutputMessage(
            id=self.message_id, status="incomplete" if answer.incomplete else "completed", content=[text]
        )

    def _object(
        self,
        status: ResponseStatus,
        output: Sequence[OutputItem] = (),
        *,
        extras: AnswerExtras,
        error: ResponseProblem | None = None,
        incomplete_details: IncompleteDetails | None = None,
        completed_at: int | None = None,
        usage: ResponseUsage | None = None,
    ) -> ResponseObject:
        return ResponseObject(
            **_echo(self.request),
            **dict(extras),
            id=self.id,
            created_at=self.created_at,
            completed_at=completed_at,
            model=self.model,
            status=status,
            error=error,
            incomplete_details=incomplete_details,
            output=list(output),
            usage=usage,
        )


def _echo(request: ResponseCreate) -> dict[str, Any]:
    return {name: getattr(request, name) for name in _ECHOED} | {"metadata": request.metadata or {}}


def _reason(incomplete: str) -> Literal["max_output_tokens", "content_filter"]:
    return "content_filter" if incomplete == "content_filter" else "max_output_tokens"


def _usage(usage: Usage) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=usage.input_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=usage.cached_tokens),
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputTokensDetails(),
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
