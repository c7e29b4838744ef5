"""What wraps every request, as plain ASGI: its id, its line in the log, the last resort, and the bounds on clients."""

import asyncio
import logging
import sys
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.request_id import begin
from indexes.errors import CitewellError, TooLarge, TooSlow

access = logging.getLogger("citewell.access")

UPLOAD = ("POST", "/v1/files")
LEAST_BYTES_PER_S = 1024
"""Of a body, once its client had `stall_s`: slower than any modem, and faster than what only wants to hold a place."""


class PlainStart:
    """Says in one sentence why the service does not start; a traceback is for what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the service."""

        async def send_sentence(message: Message) -> None:
            error = sys.exception()  # Starlette sends this while it handles what was raised
            if message["type"] == "lifespan.startup.failed" and isinstance(error, CitewellError):
                message["message"] = error.message
            await send(message)

        await self.app(scope, receive, send_sentence if scope["type"] == "lifespan" else send)


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


class _NotTaken(Exception):
    """The client takes nothing of its reply."""


class Patience:
    """Bounds how long a client may hold a place: a body that stalls or trickles is 408, a reply nobody takes is cut.

    A body of n bytes may take `stall_s` and n / LEAST_BYTES_PER_S, and each of its pieces `stall_s`. Only waiting for
    the client counts. Between the end of its body and the end of its reply a client may be silent.
    """

    def __init__(self, app: ASGIApp, stall_s: float) -> None:
        self.app = app
        self.stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        left_s, expecting = self.stall_s, True

        async def timed_receive() -> Message:
            nonlocal left_s, expecting
            if not expecting:
                return await receive()
            began = clock()
            try:
                async with asyncio.timeout(min(left_s, self.stall_s)):
                    message = await receive()
            except TimeoutError:
                # FastAPI lets an HTTPException pass while it reads a body, and only that.
                raise HTTPException(408) from self._refusal()
            left_s += len(message.get("body", b"")) / LEAST_BYTES_PER_S - (clock() - began)
            expecting = message.get("more_body", False)
            return message

        async def timed_send(message: Message) -> None:
            try:
                async with asyncio.timeout(self.stall_s):
                    await send(message)
            except TimeoutError:
                raise _NotTaken from None

        try:
            await self.app(scope, timed_receive, timed_send)
        except _NotTaken:
            access.info("the reply to %s was not taken for %g s and is cut off", scope["path"], self.stall_s)

    def _refusal(self) -> TooSlow:
        return TooSlow(
            f"The body of the request came too slowly, or not at all for {self.stall_s:g} seconds. Send it again, "
            "over a better connection or in smaller files."
        )


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


def middleware(max_json_bytes: int, stall_s: float = 30.0) -> list[Middleware]:
    """What to give FastAPI as `middleware`, outermost first."""
    return [
        Middleware(PlainStart),
        Middleware(RequestLog),
        Middleware(Patience, stall_s=stall_s),
        Middleware(BodyLimit, max_bytes=max_json_bytes),
    ]
