"""What the platform adds to a search of the bare engine, in this process and over HTTP.

    python -m bench.http --data ../shared/data [--cache .citewell/bench] [--large] [--queries 280]
        [--peer-python txtai-venv/bin/python]

In this process: `Searcher.search` beside the engine's own dense and sparse query on the same shard, with the query's
vector given, on made-up chunks: 10,000, with --large 100,000 too. Over HTTP: SciFact with the real model, beside
`SentenceTransformer.encode` and those two queries; and, given the Python of an environment that has `txtai[api]`,
beside its server, hybrid and with the same model. All take turns on each query: read what is over, and the ratios.
The first run fills the cache, which takes minutes.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.home import PROJECT, STORE, Home
from bench.http_clients import CitewellClient, Client, TxtaiClient
from bench.judged import JudgedSet, clapnq_questions, scifact
from bench.report import print_heading, print_table
from bench.search_steps import BARE, LIMIT, SETTINGS, WHOLE, Steps, query_engine
from bench.service import serving
from bench.synthetic import Synthetic
from bench.timing import Times, take_turns
from bench.txtai_service import serving_txtai
from evaluation.measures import quality
from indexes.embedders.weights import MINILM, resolve
from indexes.lexical import Analyser
from retrieval.query import Query
from retrieval.search import Searcher

CLIENTS = 8
_WARM = 20  # queries before the first that counts
_ROUNDS = 3  # in which crowds take turns
_DEPTH = 50  # hits that are sure to be of ten documents
_COLUMNS = ("", "p50 ms", "p95 ms", "p50 over bare, ms", "p50 / bare")
_OURS = "over HTTP"

Connect = Callable[[], Client]


async def made_up(chunks: int, count: int) -> None:
    """The search and its parts beside the bare engine."""
    async with Home.open() as home:
        source = Synthetic(home.manifest.embedding.dimension)
        await home.put(source.documents(chunks))
        questions = source.questions(count + _WARM)
        times = await take_turns(Steps(home, questions).rivals, questions, _WARM)
    print(f"{chunks:,} made-up chunks, {count} queries, {SETTINGS.candidates} candidates of each kind, {LIMIT} hits")
    _print(times, times[BARE])


async def real(data: Path, cache: Path, count: int, peer_python: Path | None) -> None:
    """SciFact with the real model: in this process, by a service on a copy of the home, and by the peer."""
    judged = scifact(data)
    async with Home.open() as home:
        await judged.index(home, cache)
        with _servers(home, judged, cache, peer_python) as servers:
            await _one_by_one(home, servers, list(judged.queries.values())[: count + _WARM])
            # Questions of another set: a vector that is remembered would be no work.
            await asyncio.to_thread(_in_crowds, home, servers, clapnq_questions(data))
            if peer_python is not None:
                _print_quality(judged, servers)


@contextmanager
def _servers(home: Home, judged: JudgedSet, cache: Path, peer_python: Path | None) -> Iterator[dict[str, Connect]]:
    """Ours first, by name."""
    with ExitStack() as stack:
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citewell-bench-")))
        shutil.copytree(home.folder, copy, dirs_exist_ok=True)
        servers: dict[str, Connect] = {_OURS: partial(CitewellClient, stack.enter_context(serving(copy)))}
        if peer_python is not None:
            url = stack.enter_context(serving_txtai(peer_python, judged, cache))
            servers["txtai over HTTP"] = partial(TxtaiClient, url)
        yield servers


async def _one_by_one(home: Home, servers: dict[str, Connect], texts: Sequence[str]) -> None:
    searcher = Searcher.unobserved(home.database, home.engine, home.models, SETTINGS)

    async def whole(text: str) -> None:
        await searcher.search(PROJECT, STORE, Query((text,), LIMIT))

    encode, query = _bare(home)
    name = "encode + bare engine"
    rivals = {name: query, "encode alone": encode, WHOLE: whole}
    with ExitStack() as stack:
        rivals |= {server: _asked(stack.enter_context(connect())) for server, connect in servers.items()}
        times = await take_turns(rivals, texts, _WARM)
    print(f"SciFact, all-MiniLM-L6-v2, {len(texts) - _WARM} queries one after another, {LIMIT} hits; all are new")
    _print(times, times[name])
    ours = times[_OURS]
    print(f"Over HTTP, 1 client: {ours.over_ms(times['encode alone']):.1f} ms over encode alone.")
    for server in list(servers)[1:]:
        print(f"{server} takes {times[server].p50_ms / ours.p50_ms:.2f} times as long at p50.")


def _asked(client: Client) -> Callable[[str], Awaitable[None]]:
    async def ask(text: str) -> None:
        client.search(text, LIMIT)  # blocks as `encode` does: nothing else runs in this event loop

    return ask


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


def _in_crowds(home: Home, servers: dict[str, Connect], texts: Sequence[str]) -> None:
    """Searches a second of 8 clients together, each asking one query after another; every query is asked once."""
    _, query = _bare(home)
    bare = f"encode + bare engine, {CLIENTS} threads"
    crowds: dict[str, Callable[[Sequence[str]], None]] = {bare: partial(_crowd_of_threads, query)}
    crowds |= {server: partial(_crowd_of_clients, connect) for server, connect in servers.items()}
    share = len(texts) // (len(crowds) * (1 + _ROUNDS))
    shares = deque(texts[first : first + share] for first in range(0, len(texts) - share + 1, share))
    for ask in crowds.values():
        ask(shares.popleft())  # the first together allocate what later ones reuse
    took = dict.fromkeys(crowds, 0.0)
    for _ in range(_ROUNDS):
        for who, ask in crowds.items():
            began = time.perf_counter()
            ask(shares.popleft())
            took[who] += time.perf_counter() - began
    rates = {who: share * _ROUNDS / seconds for who, seconds in took.items()}
    print_table([f"{CLIENTS} at once", "searches/s"], [[who, rate] for who, rate in rates.items()])
    for who in (who for who in rates if who != _OURS):
        print(f"Over HTTP with {CLIENTS} clients: {rates[_OURS] / rates[who]:.2f} times the rate of {who}.")


def _crowd_of_threads(query: Callable[[str], Awaitable[None]], texts: Sequence[str]) -> None:
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda text: asyncio.run(query(text)), texts))


def _crowd_of_clients(connect: Connect, texts: Sequence[str]) -> None:
    waiting = deque(texts)

    def ask() -> None:
        with connect() as client:
            while waiting:
                client.search(waiting.popleft(), LIMIT)

    with ThreadPoolExecutor(CLIENTS) as threads:
        for done in [threads.submit(ask) for _ in range(CLIENTS)]:
            done.result()


def _print_quality(judged: JudgedSet, servers: dict[str, Connect]) -> None:
    """A document ranks by its best passage."""
    rows = []
    for server, connect in servers.items():
        with connect() as client:
            found = {key: client.documents(client.search(text, _DEPTH)) for key, text in judged.queries.items()}
        measured = quality(found, judged.judgements)
        rows.append([server, measured.queries, measured.ndcg_10, measured.recall_10, measured.mrr_10])
    print_table(["", "queries", "nDCG@10", "recall@10", "MRR@10"], rows)


def _print(times: dict[str, Times], base: Times) -> None:
    rows = []
    for name, taken in times.items():
        over = None if taken is base else taken.over_ms(base)
        rows.append([name, taken.p50_ms, taken.p95_ms, over, taken.p50_ms / base.p50_ms])
    print_table(_COLUMNS, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where vectors are kept")
    parser.add_argument("--large", action="store_true", help="100,000 made-up chunks too")
    parser.add_argument("--queries", type=int, default=280, help="at most, of each kind; SciFact has 300")
    parser.add_argument("--peer-python", type=Path, help="of an environment with txtai[api]; left out: no peer")
    arguments = parser.parse_args()
    print_heading("Search beside the bare engine")
    for chunks in (10_000, 100_000) if arguments.large else (10_000,):
        asyncio.run(made_up(chunks, arguments.queries))
    asyncio.run(real(arguments.data, arguments.cache, arguments.queries, arguments.peer_python))


if __name__ == "__main__":
    main()
