"""One embedder shared by concurrent callers: common batches, queries before documents, bounded queues."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from indexes.embedder import Embedder, Tokenizer
from indexes.errors import CitewellError, Overloaded, Unavailable
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

_QUERY_BATCH = 16
# Documents are sorted by length within a window, and cut into slices of one forward pass each.
_WINDOW = 256
_FIRST_SLICE_TOKENS = 1_024
_LARGEST_SLICE_TOKENS = 32_768
# Under a flood of queries documents still move: one slice after so many query batches.
_QUERY_TURNS = 8


@dataclass(eq=False, slots=True)
class _Job:
    """One text on its way, and how many callers wait for its row."""

    text: str
    row: asyncio.Future[Vector]
    waiters: int = 0


@dataclass(slots=True)
class _Lane:
    """The jobs of one kind, found by their text. `pending` are those not begun; `room` is set whenever one ends."""

    capacity: int
    jobs: dict[str, _Job] = field(default_factory=dict)
    pending: deque[_Job] = field(default_factory=deque)
    room: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self, text: str) -> None:
        """Waits until there is room for `text`. A text that is on its way needs none."""
        while text not in self.jobs and len(self.jobs) >= self.capacity:
            self.room.clear()
            await self.room.wait()

    def join(self, text: str) -> _Job:
        """The job of `text`, with one more caller waiting."""
        job = self.jobs.get(text)
        if job is None:
            job = self.jobs[text] = _Job(text, asyncio.get_running_loop().create_future())
            self.pending.append(job)
        job.waiters += 1
        return job

    def leave(self, job: _Job) -> None:
        """One caller waits no more; a job that nobody waits for is dropped."""
        job.waiters -= 1
        if not job.waiters and not job.row.done():
            job.row.cancel()
            self._forget(job)

    def take(self, count: int) -> list[_Job]:
        """The next jobs that somebody waits for, at most `count`."""
        taken: list[_Job] = []
        while self.pending and len(taken) < count:
            job = self.pending.popleft()
            if not job.row.done():
                taken.append(job)
        return taken

    def finish(self, job: _Job, outcome: Vector | Exception) -> None:
        """Gives the row, or the error, to those who wait."""
        if job.row.done():
            return
        if isinstance(outcome, Exception):
            job.row.set_exception(outcome)
            job.row.exception()  # marks it as seen: a caller may have gone since
        else:
            job.row.set_result(outcome)
        self._forget(job)

    def _forget(self, job: _Job) -> None:
        if self.jobs.get(job.text) is job:
            del self.jobs[job.text]
        self.room.set()


class BatchingEmbedder:
    """An embedder for one event loop, with one thread of its own; the loop is never blocked.

    Rows are those of the wrapped embedder. A text asked for twice at once is embedded once. A caller that is cancelled
    takes its waiting texts with it; a forward pass that has begun runs to its end. If a batch fails, each of its texts
    is tried alone, so that only callers of the text at fault see the error.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        max_queries: int = 256,
        max_documents: int = 512,
        slice_s: float = 0.15,
        cached_queries: int = 1_024,
    ) -> None:
        """`max_queries` and `max_documents` bound the texts on their way. `slice_s` is how long one forward pass of
        documents should take, and so about how long a query waits for one; the size of a slice follows the speed seen.
        """
        self._embedder = embedder
        self._max_queries = max_queries
        self._slice_s = slice_s
        self._slice_tokens = float(_FIRST_SLICE_TOKENS)
        self._cached_queries = cached_queries
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._queries = _Lane(capacity=max_queries)
        self._documents = _Lane(capacity=max_documents)
        self._slices: deque[list[_Job]] = deque()
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def spec(self) -> EmbeddingSpec:
        """The wrapped model."""
        return self._embedder.spec

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the wrapped model."""
        return self._embedder.tokenizer

    async def queries(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_queries`, before any document that waits. Raises Overloaded where the queue is full."""
        rows = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in rows]
        fresh = sum(text not in self._queries.jobs for text in missing)
        # Into an empty queue any call may go: refusing it would refuse it for ever.
        if self._queries.jobs and len(self._queries.jobs) + fresh > self._max_queries:
            raise Overloaded(f"{len(self._queries.jobs)} queries are waiting to be embedded: try again shortly.")
        rows |= await self._rows(self._queries, missing)
        self._remember(rows)
        return self._stack(rows, texts)

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_documents`. Waits for room where the queue is full."""
        rows = await self._rows(self._documents, dict.fromkeys(texts))
        return self._stack(rows, texts)

    async def close(self) -> None:
        """Ends the forward pass under way; what waits fails with Unavailable, and so does every later call."""
        self._closed = True
        self._queries.room.set()
        self._documents.room.set()
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self._owner.shutdown()

    async def _rows(self, lane: _Lane, texts: Iterable[str]) -> dict[str, Vector]:
        jobs: list[_Job] = []
        try:
            for text in texts:
                await lane.admit(text)
                if self._closed:
                    raise _closed()
                jobs.append(lane.join(text))
                if self._pump is None or self._pump.done():
                    self._pump = asyncio.create_task(self._work(), name="embedder")
            if jobs:
                await asyncio.wait([job.row for job in jobs])
            return {job.text: job.row.result() for job in jobs}
        finally:
            for job in jobs:
                lane.leave(job)

    async def _work(self) -> None:
        """Runs until nothing waits."""
        turns = 0
        while self._queries.pending or self._documents.pending or self._slices:
            if turns < _QUERY_TURNS and self._queries.pending:
                turns += 1
                await self._run(self._queries, self._embedder.embed_queries, self._queries.take(_QUERY_BATCH))
                continue
            turns = 0
            if not self._slices:
                self._slices = await self._in_owner(self._cut, self._documents.take(_WINDOW))
            if self._slices:
                await self._run(self._documents, self._embed_slice, self._slices.popleft())

    async def _run(self, lane: _Lane, embed: Callable[[list[str]], Vector], jobs: list[_Job]) -> None:
        jobs = [job for job in jobs if not job.row.done()]
        if self._closed:
            for job in jobs:
                lane.finish(job, _closed())
        if self._closed or not jobs:
            return
        try:
            rows = await self._in_owner(embed, [job.text for job in jobs])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if len(jobs) == 1:
                lane.finish(jobs[0], error)
                return
            for job in jobs:
                await self._run(lane, embed, [job])
            return
        for job, row in zip(jobs, rows, strict=True):
            lane.finish(job, row)

    async def _in_owner(self, call: Callable[[_Given], _Made], given: _Given) -> _Made:
        return await asyncio.get_running_loop().run_in_executor(self._owner, call, given)

    def _cut(self, jobs: list[_Job]) -> deque[list[_Job]]:
        """Slices of jobs of like length, each of about `slice_s`. Runs in the owner."""
        sized = sorted(((self._tokens(job.text), job) for job in jobs), key=lambda pair: pair[0])
        slices: deque[list[_Job]] = deque()
        for tokens, job in sized:
            if slices and (len(slices[-1]) + 1) * tokens <= self._slice_tokens:
                slices[-1].append(job)
            else:
                slices.append([job])
        return slices

    def _embed_slice(self, texts: list[str]) -> Vector:
        """Embeds documents, and learns how many tokens fit into `slice_s`. Runs in the owner."""
        began = time.perf_counter()
        rows = self._embedder.embed_documents(texts)
        elapsed_s = time.perf_counter() - began
        padded = len(texts) * max(self._tokens(text) for text in texts)
        fitting = padded * self._slice_s / max(elapsed_s, 1e-6)
        self._slice_tokens = min(0.7 * self._slice_tokens + 0.3 * fitting, _LARGEST_SLICE_TOKENS)
        return rows

    def _tokens(self, text: str) -> int:
        try:
            return min(len(self._embedder.tokenizer.offsets(text)), self.spec.max_tokens)
        except CitewellError:  # the embedder will say so again, to the one who asked
            return self.spec.max_tokens

    def _remember(self, rows: dict[str, Vector]) -> None:
        for text, row in rows.items():
            self._cache[text] = row.copy()  # a view would keep its whole batch
            self._cache.move_to_end(text)
        while len(self._cache) > self._cached_queries:
            self._cache.popitem(last=False)

    def _stack(self, rows: dict[str, Vector], texts: Sequence[str]) -> Vector:
        stacked = np.empty((len(texts), self.spec.dimension), dtype=np.float32)
        for position, text in enumerate(texts):
            stacked[position] = rows[text]
        return stacked


def _closed() -> Unavailable:
    return Unavailable("The embedder is shutting down: send the request again.")
