"""What every SharedReranker keeps: in this process, behind `citewell retrieval`, and behind model servers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from indexes.embedders.hashing import WordTokenizer
from indexes.engines.exact_index import ExactEngine
from indexes.errors import InvalidRequest, Overloaded, SettingsError, Unavailable
from indexes.model import Vector
from indexes.reranker import Pair, RerankerSpec, SharedReranker
from indexes.rerankers.batching import BatchingReranker
from indexes.rerankers.loading import LoadingReranker
from indexes.rerankers.model_server import ServerReranker
from indexes.rerankers.remote import RemoteReranker
from indexes.rerankers.scripted_server import ScriptedRerankServer, scripted_rerank_server
from indexes.rerankers.settings import RerankServerSettings

WORDS = WordTokenizer()


def share(query: str, text: str) -> float:
    """How many of the question's words the text has."""
    wanted = set(query.split())
    return len(wanted & set(text.split())) / len(wanted)


class Gated:
    """Scores by shared words. Waits at a gate before each batch, records it, and cannot read "poison"."""

    spec, tokenizer = RerankerSpec("words"), WORDS

    def __init__(self, passes: int = 1, pass_tokens: int = 1_024) -> None:
        self.passes, self.pass_tokens = passes, pass_tokens
        self.gate = threading.Event()
        self.batches: list[list[Pair]] = []

    def scores(self, pairs: Sequence[Pair]) -> Vector:
        self.batches.append(list(pairs))
        assert self.gate.wait(10)
        if any(pair.text == "poison" for pair in pairs):
            raise InvalidRequest("poison")
        return np.array([share(*pair) for pair in pairs], dtype=np.float32)


class Open(Gated):
    """One that never waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.set()


@pytest.fixture
def server() -> Iterator[ScriptedRerankServer]:
    with scripted_rerank_server(share) as running:
        yield running


def settings(server: ScriptedRerankServer, protocol: str = "vllm", **given: Any) -> RerankServerSettings:
    url = f"{server.url}/v1" if protocol == "vllm" else server.url
    return RerankServerSettings(url=url, model="words", protocol=protocol, **given)  # type: ignore[arg-type]


@pytest.fixture(params=["batching", "loading", "retrieval", "vllm", "tei"])
async def reranker(
    request: pytest.FixtureRequest, server: ScriptedRerankServer, serve_engine: Callable[..., Any]
) -> AsyncIterator[SharedReranker]:
    made: SharedReranker
    match request.param:
        case "batching":
            made = BatchingReranker(Open())
        case "loading":
            made = LoadingReranker(Open.spec, WORDS, Open)
        case "retrieval":
            endpoint = serve_engine(ExactEngine(), reranker=AnyLoop()).endpoint
            made = RemoteReranker([endpoint], Open.spec, WORDS)
        case protocol:
            made = ServerReranker(settings(server, protocol, batch=3))
    yield made
    await made.close()


class AnyLoop:
    """A reranker that can be made outside the event loop that it then works in."""

    spec, tokenizer = Open.spec, Open.tokenizer

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        return Open().scores([Pair(query, text) for text in texts])

    async def close(self) -> None:
        pass


async def test_scores_come_in_the_order_of_the_texts(reranker: SharedReranker) -> None:
    texts = ["three", "one two three", "", "one two", "one two three", "第一 👩‍🚀", "two"]
    scores = await reranker.scores("one two three", texts)
    assert scores.dtype == np.float32
    assert scores.tolist() == pytest.approx([share("one two three", text) for text in texts])
    assert (await reranker.scores("one", [])).shape == (0,)
    both = await asyncio.gather(reranker.scores("two", texts), reranker.scores("three", texts))
    assert [rows.tolist() for rows in both] == [[share(query, text) for text in texts] for query in ("two", "three")]


async def test_what_is_closed_is_unavailable_also_while_it_is_being_loaded() -> None:
    batching = BatchingReranker(Open())
    await batching.close()
    with pytest.raises(Unavailable):
        await batching.scores("one", ["two"])
    gate = threading.Event()
    loading = LoadingReranker(Gated.spec, WORDS, lambda: Open() if gate.wait(10) else Gated())
    waiting = asyncio.create_task(loading.scores("one", ["two"]))
    await asyncio.sleep(0)
    await loading.close()
    with pytest.raises(Unavailable):
        await waiting
    gate.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def started(calls: Iterable[Any]) -> list[asyncio.Task[Vector]]:
    return [asyncio.ensure_future(call) for call in calls]


@pytest.fixture
async def gated() -> AsyncIterator[Gated]:
    made = Gated(pass_tokens=64)
    yield made
    made.gate.set()


@pytest.fixture
async def batching(gated: Gated) -> AsyncIterator[BatchingReranker]:
    made = BatchingReranker(gated, max_pairs=8)
    yield made
    gated.gate.set()
    await made.close()


async def test_questions_share_batches_and_take_turns(gated: Gated, batching: BatchingReranker) -> None:
    first = started([batching.scores("q0", ["x"])])
    await until(lambda: len(gated.batches) == 1)
    others = started(batching.scores(query, [f"{query} {'word ' * 12}{n}" for n in range(3)]) for query in ("q1", "q2"))
    await until(lambda: len(batching._pairs) == 7)
    gated.gate.set()
    await asyncio.gather(*first, *others)
    turns = [[(pair.query, pair.text[-1]) for pair in batch] for batch in gated.batches[1:]]
    assert turns[0][:2] == [("q1", "0"), ("q2", "0")]
    assert [len(batch) for batch in turns] == [3, 3]


async def test_a_batch_holds_texts_of_like_length(gated: Gated, batching: BatchingReranker) -> None:
    first = started([batching.scores("q", ["x"])])
    await until(lambda: len(gated.batches) == 1)
    long, short = [f"{n}" + "long " * 20 for n in range(2)], ["short 1", "short 2"]
    other = started([batching.scores("q", [long[0], short[0], long[1], short[1]])])
    await until(lambda: len(batching._pairs) == 5)
    gated.gate.set()
    await asyncio.gather(*first, *other)
    assert [[pair.text for pair in batch] for batch in gated.batches[1:]] == [long, short]


async def test_a_full_queue_refuses_and_an_empty_one_takes_any_call(gated: Gated, batching: BatchingReranker) -> None:
    (large,) = started([batching.scores("q", [f"{n}" for n in range(20)])])
    await until(lambda: len(gated.batches) == 1)
    with pytest.raises(Overloaded):
        await batching.scores("q", ["one more"])
    gated.gate.set()
    assert (await large).shape == (20,)


async def test_texts_of_a_caller_that_left_are_not_begun(gated: Gated, batching: BatchingReranker) -> None:
    first = started([batching.scores("q", ["x"])])
    await until(lambda: len(gated.batches) == 1)
    gone, stays = started([batching.scores("q", ["alone", "shared"]), batching.scores("q", ["shared"])])
    await until(lambda: len(batching._pairs) == 3)
    gone.cancel()
    await until(lambda: len(batching._pairs) == 2)
    gated.gate.set()
    await asyncio.gather(*first, stays)
    assert [[pair.text for pair in batch] for batch in gated.batches] == [["x"], ["shared"]]


async def test_a_text_that_cannot_be_read_fails_alone(gated: Gated, batching: BatchingReranker) -> None:
    gated.gate.set()
    good, bad = started([batching.scores("good", ["good"]), batching.scores("bad", ["poison"])])
    assert (await good).tolist() == [1]
    with pytest.raises(InvalidRequest, match="poison"):
        await bad


async def test_a_model_that_cannot_be_loaded_says_so_to_every_caller() -> None:
    def fail() -> Gated:
        raise SettingsError("no such model")

    loading = LoadingReranker(Gated.spec, WORDS, fail)
    for _ in range(2):
        with pytest.raises(SettingsError, match="no such model"):
            await loading.scores("one", ["two"])
    await loading.close()


async def test_retrieval_with_another_reranker_refuses(serve_engine: Callable[..., Any]) -> None:
    for serving, spec in ((AnyLoop(), RerankerSpec("words", "other weights")), (None, Gated.spec)):
        reranker = RemoteReranker([serve_engine(ExactEngine(), reranker=serving).endpoint], spec, WORDS)
        with pytest.raises(SettingsError, match="same `rerank` settings"):
            await reranker.scores("one", ["two"])
        await reranker.close()


@pytest.mark.parametrize("protocol", ["vllm", "tei"])
@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (400, InvalidRequest, "refuses the request: This failure is scripted."),
        (401, Unavailable, "not set up right"),
        (413, InvalidRequest, "refuses the request"),
        (429, Overloaded, "is busy: This failure is scripted."),
        (500, Unavailable, "failed \\(HTTP 500\\)"),
    ],
)
async def test_refusals_of_a_server_are_errors_of_ours(
    server: ScriptedRerankServer, protocol: str, status: int, error: type[Exception], said: str
) -> None:
    reranker, server.status = ServerReranker(settings(server, protocol)), status
    with pytest.raises(error, match=said):
        await reranker.scores("one", ["two"])
    await reranker.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'{"results": [{"index": 0, "relevance_score": 0.5}]}',
        b'{"results": [{"index": 0, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.5}]}',
        b'{"results": [{"index": 0, "relevance_score": 0.5}, {"index": 7, "relevance_score": 0.5}]}',
        b'{"results": [{"index": 0, "relevance_score": null}, {"index": 1, "relevance_score": 0.5}]}',
    ],
)
async def test_a_server_that_makes_no_sense_is_unavailable(server: ScriptedRerankServer, body: bytes) -> None:
    reranker, server.body = ServerReranker(settings(server)), body
    with pytest.raises(Unavailable, match=r"rerank\.protocol"):
        await reranker.scores("one", ["two", "three"])
    await reranker.close()


async def test_logits_are_mapped_and_must_be_named_as_such(server: ScriptedRerankServer) -> None:
    server.score = lambda query, text: float(text)
    plain, mapped = (ServerReranker(settings(server, logits=logits)) for logits in (False, True))
    assert (await mapped.scores("q", ["-4", "0", "4"])).tolist() == pytest.approx([0.018, 0.5, 0.982], abs=1e-3)
    with pytest.raises(Unavailable, match=r"rerank\.logits"):
        await plain.scores("q", ["-4", "0", "4"])
    for reranker in (plain, mapped):
        await reranker.close()


async def test_the_request_is_the_one_the_servers_document(server: ScriptedRerankServer) -> None:
    for protocol in ("vllm", "tei"):
        reranker = ServerReranker(settings(server, protocol))
        await reranker.scores("one", ["two", "three"])
        await reranker.close()
    texts = ["two", "three"]
    assert server.requests == [
        {"model": "words", "query": "one", "documents": texts, "top_n": 2, "truncate_prompt_tokens": -1},
        {"query": "one", "texts": texts, "raw_scores": False, "truncate": True},
    ]


async def test_a_server_that_is_slow_or_gone_is_unavailable(server: ScriptedRerankServer) -> None:
    server.delay_s = 0.5
    slow = ServerReranker(settings(server, timeout_s=0.05))
    gone = ServerReranker(RerankServerSettings(url="http://127.0.0.1:9", model="words"))
    for reranker in (slow, gone):
        with pytest.raises(Unavailable, match="did not answer"):
            await reranker.scores("one", ["two"])
        await reranker.close()


async def test_requests_to_a_server_are_bounded(server: ScriptedRerankServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.rerankers.model_server._MOST_WAITING", 4)
    reranker = ServerReranker(settings(server, batch=1, max_concurrency=1))
    with pytest.raises(Overloaded):
        await reranker.scores("one", ["1", "2", "3", "4", "5"])
    assert (await reranker.scores("one", ["1", "2", "3", "4"])).shape == (4,)
    await reranker.close()
