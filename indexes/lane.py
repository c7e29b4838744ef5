"""What many callers give to one model, on its way through it in common batches."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from indexes.errors import Unavailable

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Job(Generic[Result]):
    """One item on its way, and how many callers wait for its result."""

    size: int
    result: asyncio.Future[Result]
    waiters: int = 0


class Lane(Generic[Item, Result]):
    """For one event loop, which it never blocks: batches run in the lane's own threads.

    An item that is on its way is not begun again for a second caller. An item that nobody waits for any more is
    dropped, unless it has begun. If a batch fails, its items are tried one by one, so that only who asked for the item
    at fault sees the error.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Item]], Iterable[Result]],
        choose: Callable[[Mapping[Item, int]], list[Item]],
        *,
        capacity: int,
        at_once: int = 1,
    ) -> None:
        """`work` blocks: a batch to its results, in the order of the batch. `capacity` bounds the items on their way.

        Whenever fewer than `at_once` batches are at work, `choose` takes the next from all items that wait, given with
        their sizes in the order in which they came; it runs in the event loop.
        """
        self.capacity = capacity
        self._work = work
        self._choose = choose
        self._at_once = at_once
        self._jobs: dict[Item, _Job[Result]] = {}
        self._pending: dict[Item, _Job[Result]] = {}
        self._room = asyncio.Event()  # set whenever an item leaves
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._pumps: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """How many items are on their way."""
        return len(self._jobs)

    def __contains__(self, item: Item) -> bool:
        """Whether `item` is on its way."""
        return item in self._jobs

    async def results(self, sizes: Mapping[Item, int]) -> dict[Item, Result]:
        """The result of each item, given with its size. Waits for room where the lane is full.

        Raises Unavailable once the lane is closed.
        """
        joined: dict[Item, _Job[Result]] = {}
        try:
            for item, size in sizes.items():
                joined[item] = await self._join(item, size)
            if joined:
                await asyncio.wait([job.result for job in joined.values()])
            return {item: job.result.result() for item, job in joined.items()}
        finally:
            for item, job in joined.items():
                self._leave(item, job)

    async def close(self) -> None:
        """Ends the batches under way; what waits fails with Unavailable."""
        self._closed = True
        self._room.set()
        if self._pumps:
            await asyncio.wait(self._pumps)
        self._threads.shutdown()

    async def _join(self, item: Item, size: int) -> _Job[Result]:
        while item not in self._jobs and len(self._jobs) >= self.capacity and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise _closed()
        job = self._jobs.get(item)
        if job is None:
            job = self._jobs[item] = self._pending[item] = _Job(size, asyncio.get_running_loop().create_future())
            if len(self._pumps) < self._at_once:
                self._pumps.add(asyncio.create_task(self._pump()))
        job.waiters += 1
        return job

    def _leave(self, item: Item, job: _Job[Result]) -> None:
        job.waiters -= 1
        if not job.waiters and not job.result.done():
            job.result.cancel()
            self._forget(item, job)

    async def _pump(self) -> None:
        """Runs until nothing is pending."""
        while self._pending:
            batch = self._choose({item: job.size for item, job in self._pending.items()})
            await self._run({item: self._pending.pop(item) for item in batch})
        self._pumps -= {asyncio.current_task()}

    async def _run(self, jobs: dict[Item, _Job[Result]]) -> None:
        if self._closed:
            for item, job in jobs.items():
                self._finish(item, job, _closed())
            return
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._threads, self._work, list(jobs))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for item, job in jobs.items():
                if len(jobs) > 1:
                    await self._run({item: job})
                else:
                    self._finish(item, job, error)
            return
        for (item, job), result in zip(jobs.items(), results, strict=True):
            self._finish(item, job, result)

    def _finish(self, item: Item, job: _Job[Result], outcome: Result | Exception) -> None:
        if job.result.done():
            return
        if isinstance(outcome, Exception):
            job.result.set_exception(outcome)
            job.result.exception()  # marks it as seen, for a caller that has gone
        else:
            job.result.set_result(outcome)
        self._forget(item, job)

    def _forget(self, item: Item, job: _Job[Result]) -> None:
        for jobs in (self._jobs, self._pending):
            if jobs.get(item) is job:
                del jobs[item]
        self._room.set()


def alike(sizes: Mapping[Item, int], most: int) -> list[Item]:
    """The first item and those nearest to it in size: as many as make up `most`, were each as large as the largest."""
    first = longest = next(iter(sizes.values()))
    chosen: list[Item] = []
    for item in sorted(sizes, key=lambda item: abs(sizes[item] - first)):
        longest = max(longest, sizes[item])
        if chosen and (len(chosen) + 1) * longest > most:
            break
        chosen.append(item)
    return chosen


def _closed() -> Unavailable:
    return Unavailable("The model is being shut down: send the request again.")
