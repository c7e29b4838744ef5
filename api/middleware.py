"""What wraps every request, as plain ASGI: its id, its line in the log, the last resort, and the bound on its body."""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.request_id import begin
from indexes.errors import TooLarge

access = logging.getLogger("citewell.access")


UPLOAD = ("POST", "/v1/files")


class RequestLog:
    """Gives each request an id, puts it on the reply, and writes one line when the reply has ended.

    An exception that nothing else answered becomes a 500 here, so that even that reply carries the id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = begin(Headers(scope=scope).get("x-request-id"))
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                raise  # the reply has begun: the server must cut it off
            await error_response(error)(scope, receive, send_with_id)
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            access.info("%s %r %d %.1f ms", scope["method"], scope["path"], status, took_ms)


class BodyLimit:
    """Refuses bodies over `max_bytes` with 413, by their announced length or as they arrive.

    Uploads pass, by their route and not by what they say they are: it has a limit of its own and never holds a body
    in memory.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) == UPLOAD:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            await error_response(self._refusal())(scope, receive, send)
            return
        total = 0

        async def bounded_receive() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.max_bytes:
                # FastAPI lets an HTTPException pass while it reads a body, and only that.
                raise HTTPException(413) from self._refusal()
            return message

        await self.app(scope, bounded_receive, send)

    def _refusal(self) -> TooLarge:
        return TooLarge(
            f"The body is larger than {self.max_bytes} bytes, the limit of JSON requests. Send less, or upload a file.",
            code="body_too_large",
        )


def middleware(max_json_bytes: int) -> list[Middleware]:
    """What to give FastAPI as `middleware`, outermost first."""
    return [Middleware(RequestLog), Middleware(BodyLimit, max_bytes=max_json_bytes)]
