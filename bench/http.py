"""What the platform adds to a search of the bare engine, in this process and over HTTP.

    python -m bench.http --data ../shared/data [--cache .citewell/bench] [--large] [--queries 300]

In this process: `Searcher.search` beside the engine's own dense and sparse query on the same shard, with the query's
vector given, on made-up chunks: 10,000, with --large 100,000 too. Over HTTP: SciFact with the real model, beside
`SentenceTransformer.encode` and those two queries. All take turns on each query: read what is over, and the ratios.
The first run fills the cache, which takes minutes.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bench.home import PROJECT, STORE, Home
from bench.judged import scifact
from bench.report import print_heading, print_table
from bench.search_steps import BARE, LIMIT, SETTINGS, WHOLE, Steps, query_engine
from bench.service import Service, serving
from bench.synthetic import Synthetic
from bench.timing import Times, take_turns
from indexes.embedders.weights import MINILM, resolve
from indexes.lexical import Analyser
from retrieval.query import Query
from retrieval.search import Searcher

CLIENTS = 8
_WARM = 20  # queries before the first that counts
_COLUMNS = ("", "p50 ms", "p95 ms", "p50 over bare, ms", "p50 / bare")


async def made_up(chunks: int, count: int) -> None:
    """The search and its parts beside the bare engine."""
    async with Home.open() as home:
        source = Synthetic(home.manifest.embedding.dimension)
        await home.put(source.documents(chunks))
        questions = source.questions(count + _WARM)
        times = await take_turns(Steps(home, questions).rivals, questions, _WARM)
    print(f"{chunks:,} made-up chunks, {count} queries, {SETTINGS.candidates} candidates of each kind, {LIMIT} hits")
    _print(times, times[BARE])


async def real(data: Path, cache: Path, count: int) -> None:
    """SciFact with the real model: in this process, and by a service on a copy of the home."""
    judged = scifact(data)
    texts = list(judged.queries.values())[: count + _WARM]
    async with Home.open() as home:
        await judged.index(home, cache)
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as copy:
            shutil.copytree(home.folder, copy, dirs_exist_ok=True)
            with serving(Path(copy)) as service:
                await _beside_service(home, service, texts[: len(texts) // 2], texts[len(texts) // 2 :])


async def _beside_service(home: Home, service: Service, alone: Sequence[str], together: Sequence[str]) -> None:
    searcher = Searcher.unobserved(home.database, home.engine, home.models, SETTINGS)

    async def whole(text: str) -> None:
        await searcher.search(PROJECT, STORE, Query((text,), LIMIT))

    with Client(service) as client:

        async def over_http(text: str) -> None:
            await asyncio.to_thread(client.search, text)

        encode, query = _bare(home)
        name = "encode + bare engine"
        rivals = {name: query, "encode alone": encode, WHOLE: whole, "over HTTP, 1 client": over_http}
        times = await take_turns(rivals, alone, _WARM)
    print(
        f"SciFact, all-MiniLM-L6-v2, {len(alone) - _WARM} queries one after another, {LIMIT} hits; every query is new"
    )
    _print(times, times[name])
    half = len(together) // 2
    rates = {
        f"encode + bare engine, {CLIENTS} threads": await asyncio.to_thread(_bare_rate, query, together[:half]),
        f"over HTTP, {CLIENTS} clients": await asyncio.to_thread(_http_rate, service, together[half:]),
    }
    print_table(["", "searches/s"], [[who, rate] for who, rate in rates.items()])
    bare, ours = rates.values()
    print(f"Over HTTP with {CLIENTS} clients: {ours / bare:.2f} times the bare rate.\n")


def _bare(home: Home) -> tuple[Callable[[str], Awaitable[None]], Callable[[str], Awaitable[None]]]:
    """Bare sentence-transformers alone, and with the bare engine after it."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(resolve(MINILM, {}, Path()).folder), device="cpu")
    analyser = Analyser(home.manifest.lexical)

    async def encode(text: str) -> None:
        model.encode([text], normalize_embeddings=True, show_progress_bar=False)

    async def query(text: str) -> None:
        vector = model.encode([text], normalize_embeddings=True, show_progress_bar=False)[0]
        with home.index.version.reading() as shard:
            query_engine(shard, vector, analyser.query(text))

    return encode, query


def _bare_rate(query: Callable[[str], Awaitable[None]], texts: Sequence[str]) -> float:
    """Queries a second of the bare parts, asked by as many threads as there are clients."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda text: asyncio.run(query(text)), texts))
    return len(texts) / (time.perf_counter() - began)


def _http_rate(service: Service, texts: Sequence[str]) -> float:
    """Searches a second of all clients together, each asking one query after another."""
    waiting = deque(texts)

    def ask() -> None:
        with Client(service) as client:
            while waiting:
                client.search(waiting.popleft())

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        for done in [threads.submit(ask) for _ in range(CLIENTS)]:
            done.result()
    return len(texts) / (time.perf_counter() - began)


class Client:
    """One connection. A client that does more for each request would take part of the cores that are measured."""

    def __init__(self, service: Service) -> None:
        self._connection = HTTPConnection(urlsplit(service.url).netloc, timeout=60)
        self._headers = {"authorization": f"Bearer {service.key}", "content-type": "application/json"}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def search(self, text: str) -> bytes:
        """The body of the reply."""
        body = orjson.dumps({"query": text, "max_num_results": LIMIT})
        self._connection.request("POST", f"/v1/vector_stores/{STORE}/search", body, self._headers)
        reply = self._connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        return content


def _print(times: dict[str, Times], base: Times) -> None:
    rows = []
    for name, taken in times.items():
        alone = len(taken.seconds) == len(base.seconds)  # a crowd waits for itself: no ratio
        over = taken.over_ms(base) if alone and taken is not base else None
        rows.append([name, taken.p50_ms, taken.p95_ms, over, taken.p50_ms / base.p50_ms if alone else None])
    print_table(_COLUMNS, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where vectors are kept")
    parser.add_argument("--large", action="store_true", help="100,000 made-up chunks too")
    parser.add_argument("--queries", type=int, default=280, help="at most, of each kind; SciFact has 300")
    arguments = parser.parse_args()
    print_heading("Search beside the bare engine")
    for chunks in (10_000, 100_000) if arguments.large else (10_000,):
        asyncio.run(made_up(chunks, arguments.queries))
    asyncio.run(real(arguments.data, arguments.cache, arguments.queries))


if __name__ == "__main__":
    main()
