"""An OpenAI-compatible chat server that says what it is told to, over real HTTP on 127.0.0.1.

For tests and the demo: it streams as vLLM does (a chunk with the role, chunks of content, a finish reason, a chunk with
the usage, `[DONE]`), can fail in the ways servers fail, and notes when a client leaves before the end. Where a request
asks for structured output, plain text with markers is said in that form, as a decoder held to it would.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import orjson

from generation.markers import Marker, MarkerReader
from generation.prompt import NO_ANSWER
from indexes.sentences import sentences

_HEAD = b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion: `pieces` are its deltas, after `thought` as servers send what they tell apart.

    A `status` other than 200 refuses with `message` instead.
    After `breaks_after` pieces the connection drops; after `fails_after` pieces comes an error, as vLLM sends it inside
    a stream. `delay_s` is waited before each piece.
    """

    pieces: Sequence[str] = ()
    finish: str = "stop"
    status: int = 200
    message: str = "This failure is scripted."
    breaks_after: int | None = None
    fails_after: int | None = None
    delay_s: float = 0.0
    thought: str = ""


Request = dict[str, Any]
Script = Callable[[Request], Reply]


@dataclass(slots=True)
class ScriptedLlm:
    """The server. `script` makes the reply to each request body; `requests` are the bodies so far.

    `left` is set when a client goes away in the middle of a reply. `base_url` is what a client takes.
    """

    script: Script
    base_url: str = ""
    requests: list[Request] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which carries one request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = orjson.loads(await _body(reader))
            self.requests.append(request)
            reply = constrained(self.script(request), request)
            writer.write(_head(reply))
            gone = asyncio.create_task(_end(reader))
            for chunk in _chunks(reply, request):
                if chunk is None:
                    writer.transport.abort()
                    break
                await asyncio.wait({gone}, timeout=reply.delay_s)
                if gone.done():
                    self.left.set()
                    break
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
            else:
                writer.write(b"0\r\n\r\n")
            gone.cancel()
        writer.close()


@asynccontextmanager
async def scripted_llm(script: Script | Reply) -> AsyncIterator[ScriptedLlm]:
    """Serve on a free port until the end of the block."""
    llm = ScriptedLlm((lambda _: script) if isinstance(script, Reply) else script)
    server = await asyncio.start_server(llm.serve, "127.0.0.1", 0)
    llm.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield llm
    finally:
        server.close()


def constrained(reply: Reply, request: Request) -> Reply:
    """The reply as the schema of the request lets a decoder say it, in as many pieces."""
    text = "".join(reply.pieces)
    if "response_format" not in request or not text or text.startswith("[{"):
        return reply
    schema = request["response_format"]["json_schema"]["schema"]
    allowed = schema["items"]["properties"]["citations"]["items"]["enum"]
    said = orjson.dumps(_sentences(text, allowed)).decode()
    step = -(-len(said) // len(reply.pieces))
    return replace(reply, pieces=[said[at : at + step] for at in range(0, len(said), step)])


def _sentences(text: str, allowed: Sequence[int]) -> list[Request]:
    """`A [1]. B [2].` as sentences with citations, of which only the allowed can be said."""
    reader = MarkerReader()
    said, marks = "", []
    for part in [*reader.feed("" if text == NO_ANSWER else text), *reader.finish()]:
        if isinstance(part, Marker):
            marks.append((len(said), [number for number in part.numbers if number in allowed]))
        else:
            said += part
    return [
        {"text": said[start:end], "citations": [one for at, numbers in marks if start < at <= end for one in numbers]}
        for start, end in sentences(said)
    ]


async def _end(reader: asyncio.StreamReader) -> None:
    """Returns when the client leaves: it has said all that it has to say."""
    with contextlib.suppress(ConnectionError):
        await reader.read()


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return await reader.readexactly(int(fields[b"content-length"]))


def _head(reply: Reply) -> bytes:
    status = HTTPStatus(reply.status)
    kind = b"text/event-stream; charset=utf-8" if status == HTTPStatus.OK else b"application/json"
    return _HEAD % (status, status.phrase.encode(), kind)


def _chunks(reply: Reply, request: Request) -> Iterator[bytes | None]:
    """The parts of the body; None is where the connection drops."""
    if reply.status != HTTPStatus.OK:
        yield orjson.dumps(_error(reply))
        return
    yield _event(_chunk(request, {"role": "assistant", "content": ""}))
    if reply.thought:
        yield _event(_chunk(request, {"reasoning_content": reply.thought}))
    for at, piece in enumerate(reply.pieces):
        if at == reply.breaks_after:
            yield None
        if at == reply.fails_after:
            yield _event(_error(reply))
            yield b"data: [DONE]\n\n"
            return
        yield _event(_chunk(request, {"content": piece}))
    yield _event(_chunk(request, {"content": ""}, reply.finish))
    if (request.get("stream_options") or {}).get("include_usage"):
        yield _event(_chunk(request) | {"choices": [], "usage": _usage(reply, request)})
    yield b"data: [DONE]\n\n"


def _event(data: Request) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _error(reply: Reply) -> Request:
    kind = "BadRequestError" if reply.status == HTTPStatus.BAD_REQUEST else "InternalServerError"
    return {"error": {"message": reply.message, "type": kind, "param": None, "code": reply.status}}


def _chunk(request: Request, delta: Request | None = None, finish: str | None = None) -> Request:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def _usage(reply: Reply, request: Request) -> Request:
    """Words stand for tokens."""
    read = sum(len(message["content"].split()) for message in request["messages"])
    wrote = len(reply.pieces)
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
