"""Texts of many callers on their way through an embedder, in common batches."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from indexes.errors import Unavailable
from indexes.model import Vector


@dataclass(eq=False, slots=True)
class _Job:
    """One text on its way, and how many callers wait for its row."""

    size: int
    row: asyncio.Future[Vector]
    waiters: int = 0


class Lane:
    """For one event loop, which it never blocks: batches are embedded in the lane's own threads.

    A text that is on its way is not begun again for a second caller. A text that nobody waits for any more is dropped,
    unless it has begun. If a batch fails, its texts are tried one by one, so that only who asked for the text at fault
    sees the error.
    """

    def __init__(
        self,
        name: str,
        embed: Callable[[list[str]], Vector],
        choose: Callable[[Mapping[str, int]], list[str]],
        *,
        capacity: int,
        at_once: int = 1,
    ) -> None:
        """`capacity` bounds the texts on their way. Whenever fewer than `at_once` batches are being embedded, `choose`
        takes the next from all texts that wait, given with their sizes in the order in which they came; it runs in the
        event loop.
        """
        self.capacity = capacity
        self._embed = embed
        self._choose = choose
        self._at_once = at_once
        self._jobs: dict[str, _Job] = {}
        self._pending: dict[str, _Job] = {}
        self._room = asyncio.Event()  # set whenever a text leaves
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._pumps: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """How many texts are on their way."""
        return len(self._jobs)

    def __contains__(self, text: str) -> bool:
        """Whether `text` is on its way."""
        return text in self._jobs

    async def rows(self, sizes: Mapping[str, int]) -> dict[str, Vector]:
        """The row of each text, given with its size. Waits for room where the lane is full.

        Raises Unavailable once the lane is closed.
        """
        joined: dict[str, _Job] = {}
        try:
            for text, size in sizes.items():
                joined[text] = await self._join(text, size)
            if joined:
                await asyncio.wait([job.row for job in joined.values()])
            return {text: job.row.result() for text, job in joined.items()}
        finally:
            for text, job in joined.items():
                self._leave(text, job)

    async def close(self) -> None:
        """Ends the batches under way; what waits fails with Unavailable."""
        self._closed = True
        self._room.set()
        if self._pumps:
            await asyncio.wait(self._pumps)
        self._threads.shutdown()

    async def _join(self, text: str, size: int) -> _Job:
        while text not in self._jobs and len(self._jobs) >= self.capacity and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise _closed()
        job = self._jobs.get(text)
        if job is None:
            job = self._jobs[text] = self._pending[text] = _Job(size, asyncio.get_running_loop().create_future())
            if len(self._pumps) < self._at_once:
                self._pumps.add(asyncio.create_task(self._work()))
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
            batch = self._choose({text: job.size for text, job in self._pending.items()})
            await self._run({text: self._pending.pop(text) for text in batch})
        self._pumps -= {asyncio.current_task()}

    async def _run(self, jobs: dict[str, _Job]) -> None:
        if self._closed:
            for text, job in jobs.items():
                self._finish(text, job, _closed())
            return
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._threads, self._embed, list(jobs))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for text, job in jobs.items():
                if len(jobs) > 1:
                    await self._run({text: job})
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
        for jobs in (self._jobs, self._pending):
            if jobs.get(text) is job:
                del jobs[text]
        self._room.set()


def _closed() -> Unavailable:
    return Unavailable("The embedder is shutting down: send the request again.")
