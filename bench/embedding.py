"""Embedding beside bare sentence-transformers: chunks a second, and the time of one query.

    python -m bench.embedding [--data FOLDER] [--chunks 192] [--repeats 5] [--threads 0]

FOLDER is searched for Markdown and text files, which are chunked as the platform does; without it the texts are made
up. The rivals take turns, so that a busy machine slows all of them: read the ratios.
"""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from indexes.embedder import Tokenizer
from indexes.embedders.batching import BatchingEmbedder
from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.weights import MINILM, resolve
from indexes.model import CanonicalText
from ingestion.chunk import chunk, default_chunking

CALLERS = 8
QUERY = "how many vacation days do employees have?"


def main() -> None:
    args = _arguments()
    weights = resolve(args.model, {}, Path(args.cache))
    ours = SentenceTransformerEmbedder.load(weights, device="cpu", threads=args.threads)
    from sentence_transformers import SentenceTransformer

    cores = len(os.sched_getaffinity(0))
    bare = SentenceTransformer(str(weights.folder), device="cpu")
    texts = _texts(args.data, args.chunks, ours.tokenizer, weights.spec.max_tokens)
    tokens = [len(ours.tokenizer.offsets(text)) for text in texts]
    print(f"{args.model}, {len(texts)} chunks of {median(tokens)} tokens (median), {args.repeats} repeats")

    def encode(given: list[str], batch_size: int) -> Callable[[], object]:
        return _threaded(
            cores, lambda: bare.encode(given, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
        )

    corpus = {f"bare encode, batches of {size}": encode(texts, size) for size in (8, 16, 32)}
    corpus["ours"] = _threaded(1, lambda: ours.embed_documents(texts))
    corpus[f"ours, batching, {CALLERS} callers"] = _threaded(1, lambda: asyncio.run(_shared(ours, texts)))
    _report("chunks/s", {name: len(texts) / s for name, s in _times(corpus, args.repeats).items()})

    query: dict[str, Callable[[], object]] = {
        "bare encode": encode([QUERY], 1),
        "bare forward, tokens ready": _threaded(cores, _forward(bare)),
        "ours": _threaded(1, lambda: ours.embed_queries([QUERY])),
        "ours, forward alone": _threaded(1, _forward(ours._model)),
    }
    _report("query p50 ms", {name: s * 1e3 for name, s in _times(query, args.repeats * 20).items()})
    waited = [asyncio.run(_query_under_load(ours, texts)) for _ in range(args.repeats)]
    print(f"query under ingest load, batching: p50 {median(waited) * 1e3:.0f} ms, worst {max(waited) * 1e3:.0f} ms")


def _batching(embedder: SentenceTransformerEmbedder) -> BatchingEmbedder:
    return BatchingEmbedder(embedder, slices_at_once=embedder.passes, slice_tokens=embedder.batch_tokens)


async def _shared(embedder: SentenceTransformerEmbedder, texts: list[str]) -> None:
    batching = _batching(embedder)
    await asyncio.gather(*(batching.documents(texts[i::CALLERS]) for i in range(CALLERS)))
    await batching.close()


async def _query_under_load(embedder: SentenceTransformerEmbedder, texts: list[str]) -> float:
    """Seconds that a query takes while documents are embedded."""
    batching = _batching(embedder)
    load = asyncio.create_task(batching.documents(texts))
    await asyncio.sleep(1.0 + random.random())
    began = time.perf_counter()
    await batching.queries([QUERY])
    waited_s = time.perf_counter() - began
    load.cancel()
    await batching.close()
    return waited_s


def _threaded(threads: int, run: Callable[[], object]) -> Callable[[], object]:
    """`run` with so many threads in torch: all cores is its default, one is what ours sets."""
    import torch

    def threaded() -> object:
        torch.set_num_threads(threads)
        return run()

    return threaded


def _forward(model: object) -> Callable[[], object]:
    import torch

    features = model.preprocess([QUERY])  # type: ignore[attr-defined]

    def forward() -> object:
        with torch.inference_mode():
            return model.forward(dict(features))  # type: ignore[operator]

    return forward


def _times(rivals: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    return {name: median(times) for name, times in taken.items()}


def _report(unit: str, figures: dict[str, float]) -> None:
    first = max(value for name, value in figures.items() if name.startswith("bare encode"))
    print(f"\n{unit:>40}     of bare encode")
    for name, value in figures.items():
        print(f"{name:>30} {value:9.2f}     {value / first:.2f}")


def _texts(data: Path | None, count: int, tokenizer: Tokenizer, limit: int) -> list[str]:
    if data is None:
        words = [f"{stem}{end}" for stem in ("work", "hold", "pay", "leave") for end in ("", "s", "er", "ing", "able")]
        made = random.Random(7)
        sources = [". ".join(" ".join(made.choices(words, k=12)) for _ in range(60)) for _ in range(count)]
    else:
        files = sorted(path for path in data.rglob("*") if path.suffix in {".md", ".txt"})
        random.Random(7).shuffle(files)
        sources = [path.read_text(encoding="utf-8", errors="replace") for path in files[:count]]
    texts: list[str] = []
    for source in sources:
        spans = chunk(CanonicalText(source, (), "text/plain"), default_chunking(limit), tokenizer)
        texts += [source[span.start : span.end] for span in spans]
        if len(texts) >= count:
            break
    return texts[:count]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default=MINILM)
    parser.add_argument("--cache", default=".citewell/models")
    parser.add_argument("--chunks", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
