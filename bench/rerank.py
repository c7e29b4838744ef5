"""What reranking gains on judged sets, and how fast pairs are scored beside bare sentence-transformers.

    python -m bench.rerank --data ../shared/data [--cache .citewell/bench] [--model FOLDER] [--sets scifact clapnq]
        [--repeats 5]

Gains are of nDCG@10 over the fused order, with the interval in which 90 % of resampled sets of queries have theirs.
`--model` is a cross-encoder to be measured as well. No package carries one, so the speed is that of random weights in
MiniLM's shape: six layers, 384 wide. Scoring 30 hits of all 600 queries takes some minutes.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

import numpy as np

from bench.home import PROJECT, STORE, Home
from bench.judged import JudgedSet, clapnq, scifact
from bench.report import print_heading, print_table
from evaluation.bootstrap import mean_interval
from evaluation.measures import ndcg
from indexes.embedders.weights import MINILM, resolve
from indexes.model import Hit, Vector
from indexes.reranker import Pair, Reranker
from indexes.rerankers.batching import BatchingReranker
from indexes.rerankers.cross_encoder import CrossEncoderReranker
from indexes.rerankers.maxsim import MaxSimReranker
from indexes.rerankers.settings import MaxSimSettings
from indexes.rerankers.weights import find
from retrieval.query import Query
from retrieval.rerank import Reranking
from retrieval.search import Searcher
from retrieval.settings import SearchSettings

SETS = {"scifact": scifact, "clapnq": clapnq}
CANDIDATES = (10, 20, 30)
MOST_RESULTS = 50  # of one request of the API
AT_ONCE = 512  # pairs
QUESTIONS, TEXTS = 4, 30  # of the speed


class Scored:
    """A shared reranker that knows the score of every pair already, so that each is computed once."""

    def __init__(self, reranker: Reranker, hits: Mapping[str, Sequence[Hit]]) -> None:
        self.spec, self.tokenizer = reranker.spec, reranker.tokenizer
        wanted = [(hit.chunk.text, query) for query, found in hits.items() for hit in found[: max(CANDIDATES)]]
        pairs = [Pair(query, text) for text, query in sorted(set(wanted))]  # texts that queries share side by side
        self._known: dict[Pair, float] = {}
        for first in range(0, len(pairs), AT_ONCE):
            part = pairs[first : first + AT_ONCE]
            self._known.update(zip(part, reranker.scores(part).tolist(), strict=True))

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        return np.array([self._known[Pair(query, text)] for text in texts], dtype=np.float32)

    async def close(self) -> None:
        pass


async def found(judged: JudgedSet, cache: Path) -> dict[str, list[Hit]]:
    """What the whole search finds, by the text of the query."""
    async with Home.open() as home:
        await judged.index(home, cache)
        searcher = Searcher.unobserved(home.database, home.engine, home.models, SearchSettings())
        return {
            text: await searcher.search(PROJECT, STORE, Query((text,), MOST_RESULTS))
            for text in judged.queries.values()
        }


async def gains(judged: JudgedSet, cache: Path, rerankers: Sequence[Reranker]) -> None:
    """Print nDCG@10 with and without each reranker."""
    hits = await found(judged, cache)

    def measured(ranked: Mapping[str, Sequence[Hit]]) -> list[float]:
        return [
            ndcg([hit.key for hit in ranked[text]], judged.judgements[query], 10)
            for query, text in judged.queries.items()
            if any(grade > 0 for grade in judged.judgements.get(query, {}).values())
        ]

    before = measured(hits)
    rows: list[list[object]] = [["none", None, fmean(before), None, None, None]]
    for reranker in rerankers:
        scored = Scored(reranker, hits)
        for candidates in CANDIDATES:
            reranking = Reranking(scored, MaxSimSettings(candidates=candidates))
            after = measured({text: (await reranking.rank(text, of, 60)).hits for text, of in hits.items()})
            gain = mean_interval([new - old for new, old in zip(after, before, strict=True)])
            rows.append([scored.spec.name, candidates, fmean(after), gain.estimate, gain.low, gain.high])
    print(f"{judged.name}, {len(before)} queries")
    print_table(["reranker", "hits", "nDCG@10", "gain", "at least", "at most"], rows)


async def speed(documents: Sequence[str], maxsim: MaxSimReranker, repeats: int) -> None:
    """Print pairs a second of ours and of `CrossEncoder.predict` on the same pairs and weights, taking turns."""
    import torch
    from sentence_transformers import CrossEncoder

    questions = {f"what is said about number {n}?": documents[n * TEXTS : (n + 1) * TEXTS] for n in range(QUESTIONS)}
    pairs = [(question, text) for question, texts in questions.items() for text in texts]
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
        random_cross_encoder(Path(folder))
        ours = CrossEncoderReranker.load(find(folder, None), device="cpu")
        bare = CrossEncoder(folder, device="cpu")
    shared, late = BatchingReranker(ours), BatchingReranker(maxsim)

    async def predict() -> None:
        torch.set_num_threads(cores)
        await asyncio.to_thread(bare.predict, pairs, show_progress_bar=False)
        torch.set_num_threads(1)

    async def one_by_one() -> None:
        for question, texts in questions.items():
            await shared.scores(question, texts)

    async def at_once(reranker: BatchingReranker) -> None:
        await asyncio.gather(*(reranker.scores(question, texts) for question, texts in questions.items()))

    rivals: dict[str, Callable[[], Awaitable[None]]] = {
        "bare CrossEncoder.predict": predict,
        "ours, one question after another": one_by_one,
        f"ours, {QUESTIONS} questions at once": lambda: at_once(shared),
        f"maxsim, {QUESTIONS} questions at once": lambda: at_once(late),
    }
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            began = time.perf_counter()
            await run()
            taken[name].append(time.perf_counter() - began)
    rates = {name: len(pairs) / median(times) for name, times in taken.items()}
    bare_rate = rates["bare CrossEncoder.predict"]
    print(f"{QUESTIONS} questions with {TEXTS} texts each, {cores} cores")
    print_table(["pairs", "a second", "of bare"], [[name, rate, rate / bare_rate] for name, rate in rates.items()])
    for reranker in (shared, late):
        await reranker.close()


def random_cross_encoder(folder: Path) -> None:
    """Weights and tokenizer of MiniLM's shape into an empty folder."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    BertForSequenceClassification(BertConfig(num_labels=1, **shape)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve(MINILM, {}, folder).folder).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where vectors are kept")
    parser.add_argument("--model", help="a cross-encoder to be measured as well")
    parser.add_argument("--sets", nargs="*", choices=sorted(SETS), default=sorted(SETS))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print_heading("Reranking")
    maxsim = MaxSimReranker.load(resolve(MINILM, {}, arguments.cache), device="cpu")
    rerankers: list[Reranker] = [maxsim]
    if arguments.model:
        rerankers.append(CrossEncoderReranker.load(find(arguments.model, None)))
    documents = [document.text[:900] for document in clapnq(arguments.data).documents.values()]
    asyncio.run(speed(documents, maxsim, arguments.repeats))
    for name in arguments.sets:
        asyncio.run(gains(SETS[name](arguments.data), arguments.cache, rerankers))


if __name__ == "__main__":
    main()
