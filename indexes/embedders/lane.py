"""Texts of many callers on their way through one thread, in common batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from indexes.errors import Unavailable
from indexes.model import Vector

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


@dataclass(eq=False, slots=True)
class _Job:
    """One text on its way, and how many callers wait for its row."""

    row: asyncio.Future[Vector]
    waiters: int = 0


class Lane:
    """For one event loop, which it never blocks: whatever takes time runs in the lane's own thread.

    A text that is on its way is not begun again for a second caller. A text that nobody waits for any more is dropped,
    unless it has begun. If a batch fails, its texts are tried one by one, so that only who asked for the text at fault
    sees the error.
    """

    def __init__(
        self,
        name: str,
        embed: Callable[[list[str]], Vector],
        cut: Callable[[list[str]], list[list[str]]] | None,
        *,
        capacity: int,
        window: int,
    ) -> None:
        """`capacity` bounds the texts on their way. Up to `window` of them are handed to `cut`, which makes the batches
        for `embed`; without `cut` they are one batch. Both run in the lane's thread.
        """
        self.capacity = capacity
        self._embed = embed
        self._cut = cut
        self._window = window
        self._jobs: dict[str, _Job] = {}
        self._pending: deque[str] = deque()
        self._room = asyncio.Event()  # set whenever a text leaves
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many texts are on their way."""
        return len(self._jobs)

    def __contains__(self, text: str) -> bool:
        """Whether `text` is on its way."""
        return text in self._jobs

    async def rows(self, texts: Iterable[str]) -> dict[str, Vector]:
        """The row of each text. Waits for room where the lane is full. Raises Unavailable once it is closed."""
        joined: dict[str, _Job] = {}
        try:
            for text in dict.fromkeys(texts):
                joined[text] = await self._join(text)
            if joined:
                await asyncio.wait([job.row for job in joined.values()])
            return {text: job.row.result() for text, job in joined.items()}
        finally:
            for text, job in joined.items():
                self._leave(text, job)

    async def close(self) -> None:
        """Ends the batch under way; what waits fails with Unavailable."""
        self._closed = True
        self._room.set()
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self._thread.shutdown()

    async def _join(self, text: str) -> _Job:
        while text not in self._jobs and len(self._jobs) >= self.capacity and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise _closed()
        job = self._jobs.get(text)
        if job is None:
            job = self._jobs[text] = _Job(asyncio.get_running_loop().create_future())
            self._pending.append(text)
            if self._pump is None or self._pump.done():
                self._pump = asyncio.create_task(self._work())
        job.waiters += 1
        return job

    def _leave(self, text: str, job: _Job) -> None:
        job.waiters -= 1
        if not job.waiters and not job.row.done():
            job.row.cancel()
            self._forget(text, job)

    async def _work(self) -> None:
        """Runs until nothing is pending."""
        while self._pending:
            count = min(self._window, len(self._pending))
            window = list(dict.fromkeys(self._pending.popleft() for _ in range(count)))
            for batch in await self._batches(window):
                await self._run(batch)

    async def _batches(self, window: list[str]) -> list[list[str]]:
        if self._cut is None:
            return [window]
        try:
            return await self._in_thread(self._cut, window)
        except Exception:  # noqa: BLE001 - some text is at fault, and will say so when it is embedded
            return [[text] for text in window]

    async def _run(self, texts: list[str]) -> None:
        jobs = {text: self._jobs[text] for text in texts if text in self._jobs}
        if self._closed:
            for text, job in jobs.items():
                self._finish(text, job, _closed())
        if self._closed or not jobs:
            return
        try:
            rows = await self._in_thread(self._embed, list(jobs))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for text, job in jobs.items():
                if len(jobs) > 1:
                    await self._run([text])
                else:
                    self._finish(text, job, error)
            return
        for (text, job), row in zip(jobs.items(), rows, strict=True):
            self._finish(text, job, row)

    def _finish(self, text: str, job: _Job, outcome: Vector | Exception) -> None:
        if job.row.done():
            return
        if isinstance(outcome, Exception):
            job.row.set_exception(outcome)
            job.row.exception()  # marks it as seen, for a caller that has gone
        else:
            job.row.set_result(outcome)
        self._forget(text, job)

    def _forget(self, text: str, job: _Job) -> None:
        if self._jobs.get(text) is job:
            del self._jobs[text]
        self._room.set()

    async def _in_thread(self, call: Callable[[_Given], _Made], given: _Given) -> _Made:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, given)


def _closed() -> Unavailable:
    return Unavailable("The embedder is shutting down: send the request again.")
