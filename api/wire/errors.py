"""The error reply: one shape for every refusal."""

from pydantic import Field

from api.wire.base import ReplyModel


class ErrorDetail(ReplyModel):
    """What went wrong."""

    message: str = Field(description="What is wrong and what to do about it, in one or two sentences.")
    type: str = Field(description="The family of the error, in OpenAI's words: `invalid_request_error`, …")
    code: str = Field(description="Stable and machine-readable; a client may branch on it.")
    param: str | None = Field(None, description="The request field at fault, as a path: `tools[0].vector_store_ids`.")


class ErrorReply(ReplyModel):
    """The body of every reply with a status of 400 or more."""

    error: ErrorDetail
