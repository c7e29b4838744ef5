import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.embedders.batching import BatchingEmbedder
from indexes.embedders.hashing import HashingEmbedder
from indexes.errors import InvalidRequest, Overloaded, Unavailable
from indexes.model import Vector


class Gated(HashingEmbedder):
    """Waits at a gate before each batch, records what it is given, and cannot embed "poison"."""

    def __init__(self) -> None:
        super().__init__(dimension=32)
        self.gate = threading.Event()
        self.batches: list[tuple[str, list[str]]] = []

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        return self._recorded("documents", texts)

    def embed_queries(self, texts: Sequence[str]) -> Vector:
        return self._recorded("queries", texts)

    def _recorded(self, kind: str, texts: Sequence[str]) -> Vector:
        self.batches.append((kind, list(texts)))
        assert self.gate.wait(10)
        if "poison" in texts:
            raise InvalidRequest("poison")
        return HashingEmbedder.embed_documents(self, texts)


Opened = tuple[BatchingEmbedder, Gated]


@asynccontextmanager
async def opened(**limits: int) -> AsyncIterator[Opened]:
    gated = Gated()
    batching = BatchingEmbedder(gated, **limits)
    try:
        yield batching, gated
    finally:
        gated.gate.set()
        await batching.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def start(*calls: object) -> list[asyncio.Task[Vector]]:
    return [asyncio.ensure_future(call) for call in calls]  # type: ignore[call-overload]


WORDS = st.lists(st.sampled_from(["a", "b", "dd", "eee", "f-f", "é", "第一"]), max_size=30).map(" ".join)
CALLS = st.lists(st.tuples(st.sampled_from(["queries", "documents"]), st.lists(WORDS, max_size=9)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, waits=st.lists(st.integers(0, 2), min_size=12, max_size=12), room=st.integers(1, 20))
def test_rows_are_those_of_the_wrapped_embedder_however_calls_interleave(
    calls: list[tuple[str, list[str]]], waits: list[int], room: int
) -> None:
    plain = HashingEmbedder(dimension=32)

    async def one(batching: BatchingEmbedder, kind: str, texts: list[str], wait: int) -> None:
        for _ in range(wait):
            await asyncio.sleep(0)
        rows = await (batching.queries(texts) if kind == "queries" else batching.documents(texts))
        assert rows.shape == (len(texts), 32)
        np.testing.assert_allclose(rows, plain.embed_documents(texts), atol=1e-6)

    async def run() -> None:
        batching = BatchingEmbedder(plain, max_documents=room)
        await asyncio.gather(*(one(batching, *call, wait) for call, wait in zip(calls, waits, strict=False)))
        await batching.close()

    asyncio.run(run())


async def test_documents_of_many_callers_share_batches_and_equal_texts_are_embedded_once() -> None:
    async with opened() as (batching, gated):
        first = start(batching.documents(["first"]))
        await until(lambda: len(gated.batches) == 1)
        others = start(*(batching.documents([f"text {i}", "same", "same"]) for i in range(8)))
        await until(lambda: len(batching._documents) == 10)
        gated.gate.set()
        await asyncio.gather(*first, *others)
        assert [sorted(texts) for _, texts in gated.batches[1:]] == [["same", *(f"text {i}" for i in range(8))]]


async def test_a_query_does_not_wait_for_documents() -> None:
    async with opened() as (batching, gated):
        documents = start(batching.documents(["first", "second"]))
        await until(lambda: len(gated.batches) == 1)
        queries = start(batching.queries(["question"]))
        await until(lambda: len(gated.batches) == 2)
        assert gated.batches[1] == ("queries", ["question"])
        gated.gate.set()
        await asyncio.gather(*documents, *queries)


async def test_a_repeated_query_is_not_embedded_again() -> None:
    async with opened(cached_queries=2) as (batching, gated):
        gated.gate.set()
        for text in ("one", "two", "one", "three", "one", "two"):
            await batching.queries([text])
        assert [texts for _, texts in gated.batches] == [["one"], ["two"], ["three"], ["two"]]


async def test_the_caller_may_change_the_rows_it_got() -> None:
    async with opened() as (batching, gated):
        gated.gate.set()
        rows = await batching.queries(["one"])
        before = rows.copy()
        rows[:] = 0
        np.testing.assert_array_equal(await batching.queries(["one"]), before)


async def test_cancelling_a_call_drops_what_only_it_waits_for() -> None:
    async with opened() as (batching, gated):
        first = start(batching.documents(["first"]))
        await until(lambda: len(gated.batches) == 1)
        dropped, kept = start(batching.documents(["alone", "shared"]), batching.documents(["shared"]))
        await asyncio.sleep(0.01)
        dropped.cancel()
        await asyncio.sleep(0.01)
        gated.gate.set()
        await asyncio.gather(*first, kept)
        assert [texts for _, texts in gated.batches] == [["first"], ["shared"]]
        assert dropped.cancelled()


async def test_a_full_queue_refuses_queries_and_holds_documents_back() -> None:
    async with opened(max_queries=2, max_documents=4) as (batching, gated):
        calls = start(batching.queries(["q1", "q2"]), batching.documents([f"d{i}" for i in range(50)]))
        await until(lambda: len(gated.batches) == 2)
        with pytest.raises(Overloaded):
            await batching.queries(["q3"])
        joined = start(batching.queries(["q1"]))
        gated.gate.set()
        await asyncio.gather(*calls, *joined)
        assert max(len(texts) for _, texts in gated.batches) <= 4
        assert (await batching.queries(["a", "b", "c"])).shape == (3, 32)


async def test_a_text_that_cannot_be_embedded_fails_alone() -> None:
    async with opened() as (batching, gated):
        first = start(batching.documents(["first"]))
        await until(lambda: len(gated.batches) == 1)
        good, bad = start(batching.documents(["good"]), batching.documents(["fine", "poison"]))
        await asyncio.sleep(0.01)
        gated.gate.set()
        assert (await good).shape == (1, 32)
        with pytest.raises(InvalidRequest, match="poison"):
            await bad
        await asyncio.gather(*first)


async def test_closing_ends_the_batch_under_way_and_fails_what_waits() -> None:
    async with opened(max_documents=2) as (batching, gated):
        (under_way,) = start(batching.documents(["first"]))
        await until(lambda: len(gated.batches) == 1)
        waiting = start(batching.documents(["second", "third", "fourth"]))
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(batching.close())
        await asyncio.sleep(0.01)
        gated.gate.set()
        await closing
        assert (await under_way).shape == (1, 32)
        for outcome in await asyncio.gather(*waiting, batching.queries(["late"]), return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        assert len(gated.batches) == 1


async def test_a_slice_is_the_oldest_text_and_those_of_like_length() -> None:
    async with opened(slice_tokens=512) as (batching, gated):
        first = start(batching.documents(["first"]))
        await until(lambda: len(gated.batches) == 1)
        long = [" ".join([f"long{i}"] * 240) for i in range(3)]
        short = [f"short {i}" for i in range(3)]
        others = start(batching.documents([text for pair in zip(long, short, strict=True) for text in pair]))
        await asyncio.sleep(0.05)
        gated.gate.set()
        await asyncio.gather(*first, *others)
        assert [texts for _, texts in gated.batches[1:]] == [long[:2], short, long[2:]]


async def test_slices_side_by_side_share_what_waits() -> None:
    async with opened(slices_at_once=2, slice_tokens=4_096) as (batching, gated):
        call = start(batching.documents([" ".join([f"w{i}"] * 200) for i in range(8)]))
        await until(lambda: len(gated.batches) == 2)
        assert [len(texts) for _, texts in gated.batches] == [4, 2]
        gated.gate.set()
        await asyncio.gather(*call)
        assert sum(len(texts) for _, texts in gated.batches) == 8
