"""Warm child processes that parse documents, each within its limits (invariants I13 and I14).

A document that hangs, eats memory or crashes a native library costs one child, which is replaced; nothing else notices.
"""

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from indexes.errors import CitewellError, DocumentError, Unavailable
from indexes.manifest import Chunking
from indexes.model import CanonicalText, Span
from ingestion.parse import PARSER_VERSION, artefact, frames
from ingestion.parse.limits import Limits
from ingestion.parse.unpack import Unpacked, UnpackedPart
from ingestion.recognition import Tesseract

_START_S = 60.0
# Native libraries never give back all they took: a fresh process does.
JOBS_PER_CHILD = 200
# What a child sees of the environment: enough to find its libraries, no secret.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_FIXED_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # The pool is the parallelism.
    "DO_NOT_TRACK": "1",
    "PYTHONSAFEPATH": "1",
}


class _Died(Exception):
    """A child ended in the middle of a job; by the kernel's hand if `killed`."""

    def __init__(self, *, killed: bool) -> None:
        super().__init__()
        self.killed = killed


@dataclass(slots=True, eq=False)
class _Child:
    process: asyncio.subprocess.Process
    jobs: int = 0

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        packages = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "ingestion.parse.child", str(os.getpid()), str(limits.max_memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=inherited | _FIXED_ENVIRONMENT | {"PYTHONPATH": packages},
        )  # fmt: skip
        return cls(process)

    async def ready(self) -> None:
        """Wait until it takes jobs. Raises Unavailable: no document is to blame for what happens before that."""
        if self.jobs:
            return
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                await frames.receive(self.process.stdout)
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise Unavailable("A parser process ended or hung while it was started. Trying again may help.") from error

    async def ask(self, request: dict[str, object]) -> dict[str, Any]:
        """The reply to `request`. Raises _Died when there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs += 1
        try:
            self.process.stdin.write(frames.pack(request))
            await self.process.stdin.drain()
            return await frames.receive(self.process.stdout)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _Died(killed=await self.process.wait() == -signal.SIGKILL) from error

    async def kill(self) -> None:
        """End the child and whatever it started, at once."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()


class Children:
    """At most `workers` documents are parsed at a time; further callers wait their turn.

    A child is started when its first job comes or by `start`, lives for `JOBS_PER_CHILD` jobs, and dies with this
    process even on SIGKILL. With a `recogniser`, pictures of text are read too. Start and use the pool from the main
    thread's event loop: the kernel ties the lives of children to the thread that started them.
    """

    def __init__(self, workers: int = 1, limits: Limits | None = None, recogniser: Tesseract | None = None) -> None:
        self._recogniser = recogniser
        self._limits = limits or Limits()
        self._closed = False
        self._running: set[_Child] = set()
        # One place per worker: a warm child, or None where the next job starts one.
        self._places: asyncio.Queue[_Child | None] = asyncio.Queue()
        for _ in range(workers):
            self._places.put_nowait(None)

    @property
    def version(self) -> str:
        """What decides the text that bytes become. Texts with and without recognition are not each other's."""
        read = "" if self._recogniser is None else f"+ocr-{self._recogniser.languages}"
        return PARSER_VERSION + read

    async def start(self) -> None:
        """Start all children, so that the first documents do not wait for them."""
        for _ in range(self._places.qsize()):
            self._places.put_nowait(self._places.get_nowait() or await self._spawn())

    async def parse(self, path: Path, filename: str) -> CanonicalText:
        """The canonical text of the file at `path`, which its owner called `filename`.

        Raises DocumentError when the document cannot be ingested, and Unavailable when the pool is closed or the file
        cannot be read: only the latter is worth another try.
        """
        if self._recogniser is None:
            return await self._parse(path, filename, None)
        with tempfile.TemporaryDirectory(prefix="citewell-desk-") as desk:
            while True:
                found = await self._parsed_or_not(path, filename, desk)
                if not await self._recogniser.read(Path(desk)):
                    break
        if isinstance(found, DocumentError):
            raise found
        return found

    async def _parsed_or_not(self, path: Path, filename: str, desk: str) -> CanonicalText | DocumentError:
        """As `_parse`, but that there is no text yet is no reason to stop."""
        try:
            return await self._parse(path, filename, desk)
        except DocumentError as error:
            if error.code == "no_text_layer":
                return error
            raise

    async def _parse(self, path: Path, filename: str, desk: str | None) -> CanonicalText:
        reply = await self._ask(self._request("parse", path, filename) | {"desk": desk})
        # A long document is tens of thousands of blocks: too many for the event loop.
        return await asyncio.to_thread(artefact.restore, reply)

    async def unpack(self, path: Path, filename: str, into: Path) -> Unpacked:
        """The files in the mail or archive at `path`, which its owner called `filename`, written into `into`.

        `into` is an empty folder of the caller's, who removes it whatever happens. Raises as `parse` does.
        """
        reply = await self._ask(self._request("unpack", path, filename) | {"into": str(into)})
        parts = (
            UnpackedPart(name, into / file, sha256, size_bytes) for name, file, sha256, size_bytes in reply["parts"]
        )
        return Unpacked(tuple(parts), tuple(reply["warnings"]))

    async def chunk(self, text: CanonicalText, chunker: str, chunking: Chunking, model: Path | None) -> list[Span]:
        """The spans of the chunks of `text`, measured by the tokenizer in the folder `model`; None measures in words.

        Raises as `parse` does.
        """
        request: dict[str, object] = {
            "command": "chunk",
            "chunker": chunker,
            "text": orjson.Fragment(await asyncio.to_thread(artefact.dumps, text)),
            "chunking": asdict(chunking),
            "model": None if model is None else str(model),
        }
        rows: Any = await self._ask(request)
        return [
            Span(start, end, ordinal, tokens, first_page, last_page, tuple(section))
            for start, end, ordinal, tokens, first_page, last_page, section in rows
        ]

    async def close(self) -> None:
        """End all children. Jobs under way and callers that wait get Unavailable."""
        self._closed = True
        for child in list(self._running):
            await self._end(child)

    def _request(self, command: str, path: Path, filename: str) -> dict[str, object]:
        return {"command": command, "path": str(path), "filename": filename, "limits": asdict(self._limits)}

    async def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        """The result of one command. A crash is tried once more, on a fresh child: it may be another document's."""
        try:
            reply = await self._attempt(request)
        except _Died:
            try:
                reply = await self._attempt(request, fresh=True)
            except _Died as again:
                raise _crashed(killed=again.killed) from again
        if "error" in reply:
            raise _error(**reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    async def _attempt(self, request: dict[str, object], *, fresh: bool = False) -> dict[str, Any]:
        child = await self._places.get()
        back: _Child | None = None
        try:
            if child is not None and (fresh or child.process.returncode is not None):
                await self._end(child)
                child = None
            child = child or await self._spawn()
            await child.ready()
            async with asyncio.timeout(self._limits.max_seconds):
                reply = await child.ask(request)
            spent = child.jobs >= JOBS_PER_CHILD or reply.get("error", {}).get("code") == "parse_memory"
            back = None if spent else child
        except TimeoutError as error:
            raise _too_slow(self._limits) from error
        except _Died:
            if self._closed:
                raise _closed() from None
            raise
        else:
            return reply
        finally:
            self._places.put_nowait(back)
            # Also when the caller is cancelled: a child in the middle of a job is of no use to the next.
            if child is not None and back is None:
                await self._end(child)

    async def _spawn(self) -> _Child:
        if self._closed:
            raise _closed()
        child = await _Child.start(self._limits)
        self._running.add(child)
        await self._end_if_closed(child)
        return child

    async def _end_if_closed(self, child: _Child) -> None:
        """The pool may have been closed while the child was being started."""
        if self._closed:
            await self._end(child)
            raise _closed()

    async def _end(self, child: _Child) -> None:
        self._running.discard(child)
        await child.kill()


def _closed() -> Unavailable:
    return Unavailable("The parser is shutting down. Try again after the restart.")


def _too_slow(limits: Limits) -> DocumentError:
    return DocumentError(
        f"This file takes over {limits.max_seconds:.0f} seconds to read. Split it, or save it in a simpler format.",
        code="parse_timeout",
    )


def _crashed(*, killed: bool) -> CitewellError:
    if killed:  # Not by this pool: the kernel ends processes when memory runs out.
        return _error("parse_memory", "")
    return DocumentError(
        "This file makes the reader fail. Open it, save it again (or print it to PDF) and upload that.",
        code="parse_crashed",
    )


def _error(code: str, message: str) -> CitewellError:
    if code == "unavailable":
        return Unavailable(f"A stored file cannot be read: {message}. Trying again may help.")
    if code == "parse_memory":
        message = "This file needs too much memory to read. Split it, or save it in a simpler format."
    return DocumentError(message, code=code)
