"""Warm child processes that parse documents, each within its limits (invariants I13 and I14).

A document that hangs, eats memory or crashes a native library costs one child, which is replaced; nothing else notices.
"""

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from indexes.errors import CitewellError, Deferred, DocumentError, Unavailable
from indexes.manifest import Chunking
from indexes.model import CanonicalText, Span
from ingestion.parse import PARSER_VERSION, artefact
from ingestion.parse.limits import Limits
from ingestion.parse.unpack import Unpacked, UnpackedPart
from ingestion.parser_child import Child, ChildDied
from ingestion.recognition import Tesseract

# Native libraries never give back all they took: a fresh process does.
JOBS_PER_CHILD = 200
_PATIENCE_S = 3.0
"""How long a document may keep a place that others wait for; most take well under a second."""
_ASIDE = 2
"""Slow documents that go on beside the places, each in a child more."""
_REMEMBERED = 1000


class Children:
    """At most `workers` documents are parsed at a time; further callers wait their turn.

    Nobody waits behind one that takes long: past its patience it gives its place away and goes on beside it. Where too
    many do so already it is stopped, and Unavailable puts it off until those that are slow have come to their end.

    A child is started when its first job comes or by `start`, lives for `JOBS_PER_CHILD` jobs, and dies with this
    process even on SIGKILL. With a `recogniser`, pictures of text are read too. Start and use the pool from the main
    thread's event loop: the kernel ties the lives of children to the thread that started them.
    """

    def __init__(self, workers: int = 1, limits: Limits | None = None, recogniser: Tesseract | None = None) -> None:
        self._recogniser = recogniser
        self._limits = limits or Limits()
        self._closed = False
        self._running: set[Child] = set()
        self._patience_s = min(_PATIENCE_S, self._limits.max_seconds / 5)
        self._waiting = self._aside = 0
        self._spare: list[Child] = []  # warm ones that came back from aside
        self._slow: dict[str, None] = {}  # documents that were put off, the latest last
        # One place per worker: a warm child, or None where the next job starts one.
        self._places: asyncio.Queue[Child | None] = asyncio.Queue()
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
        except ChildDied:
            try:
                reply = await self._attempt(request, fresh=True)
            except ChildDied as again:
                raise _crashed(killed=again.killed) from again
        if "error" in reply:
            raise _error(**reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    async def _attempt(self, request: dict[str, object], *, fresh: bool = False) -> dict[str, Any]:
        child = await self._place(request)
        back: Child | None = None
        aside = False
        try:
            child = await self._usable(child, fresh=fresh)
            await child.ready()
            async with asyncio.timeout(self._limits.max_seconds):
                asking = asyncio.create_task(child.ask(request))
                try:
                    aside = await self._steps_aside(asking, _name(request), cold=child.jobs == 0)
                    reply = await asking
                finally:
                    asking.cancel()
            spent = child.jobs >= JOBS_PER_CHILD or reply.get("error", {}).get("code") == "parse_memory"
            back = None if spent else child
        except TimeoutError as error:
            raise _too_slow(self._limits) from error
        except ChildDied:
            if self._closed:
                raise _closed() from None
            raise
        else:
            return reply
        finally:
            if aside:
                self._aside -= 1
                self._spare += [back] if back else []
            else:
                self._places.put_nowait(back)
            # Also when the caller is cancelled: a child in the middle of a job is of no use to the next.
            if child is not None and back is None:
                await self._end(child)

    async def _place(self, request: dict[str, object]) -> Child | None:
        """Wait for a place. Raises Unavailable for what was slow before, while others are."""
        if _name(request) in self._slow and self._aside >= _ASIDE:
            raise _put_off()
        self._waiting += 1
        try:
            return await self._places.get()
        finally:
            self._waiting -= 1

    async def _usable(self, child: Child | None, *, fresh: bool) -> Child:
        """The child of a place if it can be used, or another."""
        if child is not None and (fresh or child.process.returncode is not None):
            await self._end(child)
            child = None
        return child or (None if fresh else self._warm()) or await self._spawn()

    async def _steps_aside(self, asking: asyncio.Task[dict[str, Any]], name: str, *, cold: bool) -> bool:
        """Wait for the end of a job as long as nobody waits for its place: whether the place was given to the next."""
        # What was slow before goes at once; the first job of a child pays for the libraries that it imports.
        patience_s = 0.0 if name in self._slow else self._patience_s * (2 if cold else 1)
        while not (await asyncio.wait([asking], timeout=patience_s))[0]:
            if self._aside < _ASIDE:
                self._aside += 1
                self._places.put_nowait(None)
                return True
            if self._waiting:
                self._remember(name)
                raise _put_off()
            patience_s = self._patience_s
        return False

    def _remember(self, name: str) -> None:
        self._slow[name] = self._slow.pop(name, None)
        if len(self._slow) > _REMEMBERED:
            del self._slow[next(iter(self._slow))]

    def _warm(self) -> Child | None:
        while self._spare:
            child = self._spare.pop()
            if child.process.returncode is None:
                return child
            self._running.discard(child)
        return None

    async def _spawn(self) -> Child:
        if self._closed:
            raise _closed()
        child = await Child.start(self._limits)
        self._running.add(child)
        await self._end_if_closed(child)
        return child

    async def _end_if_closed(self, child: Child) -> None:
        """The pool may have been closed while the child was being started."""
        if self._closed:
            await self._end(child)
            raise _closed()

    async def _end(self, child: Child) -> None:
        self._running.discard(child)
        await child.kill()


def _closed() -> Unavailable:
    return Unavailable("The parser is shutting down. Try again after the restart.")


def _name(request: dict[str, object]) -> str:
    """What a document is known by while it is tried again: with remote blobs its path is another each time."""
    size_bytes = 0
    with suppress(OSError):
        size_bytes = Path(str(request.get("path"))).stat().st_size
    return f"{request.get('filename')} {size_bytes}"


def _put_off() -> Deferred:
    return Deferred(
        "This file takes long to read, and so do others that came before it. It is read once they are done."
    )


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
