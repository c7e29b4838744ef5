"""Errors on HTTP: the one table from the error tree to status and type, and the handlers that use it."""

import difflib
import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.validation import explain
from api.wire.comparisons import GateRefusal, GateReport
from api.wire.errors import ErrorDetail, ErrorReply
from api.wire.prompts import PromptTestReport, PromptTestsRefusal
from indexes import errors

logger = logging.getLogger(__name__)

INTERNAL_MESSAGE = "Something went wrong on the server. Try again; if it stays, tell its operator the x-request-id."

# The most specific class counts. 404 and 409 are `invalid_request_error` because OpenAI's are.
TABLE: Mapping[type[errors.CitewellError], tuple[int, str]] = {
    errors.CitewellError: (500, "server_error"),
    errors.InvalidRequest: (400, "invalid_request_error"),
    errors.DocumentError: (400, "invalid_request_error"),
    errors.Unauthenticated: (401, "authentication_error"),
    errors.Forbidden: (403, "permission_error"),
    errors.NotFound: (404, "invalid_request_error"),
    errors.Conflict: (409, "invalid_request_error"),
    errors.TooLarge: (413, "invalid_request_error"),
    errors.TooSlow: (408, "invalid_request_error"),
    errors.Abandoned: (499, "invalid_request_error"),  # no such status in HTTP: what servers log by custom
    errors.Overloaded: (429, "rate_limit_error"),
    errors.Unavailable: (503, "server_error"),
    errors.StorageFull: (507, "server_error"),
    errors.IndexDamaged: (503, "server_error"),
}

# What every route may answer, for OpenAPI: give it to FastAPI as `responses`.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply, "description": "The request is refused; `error.message` says what to change."},
    "5XX": {"model": ErrorReply, "description": "The service, or a part it depends on, failed; try again."},
}


def status_and_type(error: errors.CitewellError) -> tuple[int, str]:
    """HTTP status and OpenAI's error type, by the nearest class in the table."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def detail_of(error: Exception) -> ErrorDetail:
    """What a client may know of an error: all of ours below status 500, nothing of any other."""
    if not isinstance(error, errors.CitewellError):
        return ErrorDetail(message=INTERNAL_MESSAGE, type="server_error", code=errors.CitewellError.code)
    status, kind = status_and_type(error)
    message = INTERNAL_MESSAGE if status == 500 else error.message
    return ErrorDetail(message=message, type=kind, code=error.code, param=error.param)


def error_response(error: Exception) -> JSONResponse:
    """The reply for any exception. What is no fault of the client is logged with its traceback."""
    status = status_and_type(error)[0] if isinstance(error, errors.CitewellError) else 500
    if status == 500:
        logger.error("request failed", exc_info=error)
    reply = ErrorReply(error=detail_of(error))
    if isinstance(error, errors.GateFailed):
        reply = GateRefusal(error=reply.error, report=GateReport.model_validate(error.report))
    if isinstance(error, errors.PromptTestsFailed):
        reply = PromptTestsRefusal(error=reply.error, report=PromptTestReport.model_validate(error.report))
    return _reply(status, reply, _retry_headers(status, error))


def install(app: FastAPI) -> None:
    """Answer every error that a route raises, and every unknown route, with an `ErrorReply`."""
    app.add_exception_handler(errors.CitewellError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


def _reply(status: int, reply: ErrorReply, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(reply.model_dump(), status_code=status, headers=dict(headers))


def _retry_headers(status: int, error: Exception) -> dict[str, str]:
    if isinstance(error, errors.Overloaded):
        return {
            "retry-after": str(math.ceil(error.retry_after_s)),
            "retry-after-ms": str(math.ceil(error.retry_after_s * 1000)),
        }
    if isinstance(error, errors.TooSlow):
        return {"connection": "close"}  # the rest of its body must not be taken for a request
    if isinstance(error, errors.CitewellError) and error.code == "idempotency_in_progress":
        return {"x-should-retry": "true", "retry-after": "1"}
    # The official client would send a refused 409 again, twice.
    return {"x-should-retry": "false"} if status < 500 else {}


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    return error_response(error)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(explain(error.errors(), error.body))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, errors.CitewellError):
        return error_response(error.__cause__)
    match error.status_code:
        case 404:
            refusal: errors.CitewellError = errors.NotFound(_no_route(request), code="unknown_route")
        case 405:
            return _wrong_method(request, error.headers or {})
        case 400:
            refusal = errors.InvalidRequest(
                "The body cannot be read. Send JSON in UTF-8, or multipart/form-data where a file is uploaded.",
                code="invalid_body",
            )
        case _:
            kind = "invalid_request_error" if error.status_code < 500 else "server_error"
            detail = ErrorDetail(message=error.detail, type=kind, code="http_error")
            return _reply(error.status_code, ErrorReply(error=detail), error.headers or {})
    return error_response(refusal)


def _no_route(request: Request) -> str:
    path = request.url.path
    known = list(request.app.openapi()["paths"])
    nearest = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"There is no route {path}.{hint} All routes are listed at /docs."


def _wrong_method(request: Request, headers: Mapping[str, str]) -> JSONResponse:
    allowed = headers.get("Allow", "")
    hint = f" Use {allowed}." if allowed else ""
    message = f"{request.url.path} does not take {request.method}.{hint}"
    detail = ErrorDetail(message=message, type="invalid_request_error", code="method_not_allowed")
    return _reply(405, ErrorReply(error=detail), {**headers, "x-should-retry": "false"})
