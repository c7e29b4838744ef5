"""What a CUDA device does: exact search against the floor that its memory sets, CAGRA, IVF-PQ, embedding, reranking.

    python -m bench.gpu [--sizes 100000,1000000] [--texts 4096]

The floor of a search is the bytes of the vectors over the bandwidth of the memory, measured by copying within it. Bare
FAISS is the same index without what the platform puts around it. Embedding and reranking have plain
sentence-transformers beside them. Writes `bench/results/gpu-<device>-<date>.txt` as well. Without a device, or without
faiss-gpu, it says so and ends with status 0.
"""

import argparse
import contextlib
import io
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

from bench.ann_data import DIMENSION, LIMIT, Collection, clustered
from bench.report import print_heading, print_table
from bench.rerank import random_cross_encoder
from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.weights import MINILM, resolve
from indexes.engines.faiss_gpu import CudaDevice, cuda_device
from indexes.engines.gpu_device import DeviceFailure
from indexes.engines.gpu_plan import SCRATCH_BYTES, Placement
from indexes.model import Vector
from indexes.reranker import Pair
from indexes.rerankers.cross_encoder import CrossEncoderReranker
from indexes.rerankers.weights import find

Search = Callable[[Vector], object]
"""The rows nearest to a query of shape (dimension,), best first where they are an array."""

_RESULTS = Path(__file__).parent / "results"
_QUERIES, _CLIENTS, _CROWD_S, _ROUNDS = 200, 16, 2.0, 3
_REPEATS = 20
_COPIED_BYTES = 2 << 30
_WORDS = 180  # of a made-up text
_QUESTIONS, _TEXTS = 8, 64  # of reranking
_COLUMNS = ("", "build s", "recall@10", "p50 ms", "p95 ms", "p50 / floor", f"queries/s, {_CLIENTS} clients")


def search(device: CudaDevice, sizes: list[int]) -> None:
    """One query after another, and of some clients at once, in each form; in turns with bare FAISS."""
    bandwidth = _bandwidth()
    print(f"Memory bandwidth by copying: {bandwidth / 1e9:,.0f} GB/s\n")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
            collection = clustered(size, _QUERIES, Path(folder))
            vectors = np.load(collection.path)
        floor_ms = 2 * size * DIMENSION / bandwidth * 1e3
        rivals: dict[str, Search] = {}
        seconds: dict[str, float] = {}
        for name, build in _builders(device, vectors).items():
            began = time.perf_counter()
            try:
                rivals[name] = build()
            except DeviceFailure as error:
                print(f"{name}, {size:,} rows: {error}")
                continue
            seconds[name] = time.perf_counter() - began
        print(f"{size:,} clustered vectors; floor of an exact search {floor_ms:.3f} ms")
        times, crowds = _turns(rivals, collection)
        rows = [
            [name, seconds[name], _recall(rivals[name], collection), *_quantiles(taken), crowds[name]]
            for name, taken in times.items()
        ]
        print_table(_COLUMNS, [[*row[:5], row[3] / floor_ms, row[5]] for row in rows])


def _builders(device: CudaDevice, vectors: Vector) -> dict[str, Callable[[], Search]]:
    def ours(form: Placement) -> Search:
        index = device.put(vectors, form)
        return lambda query: index.search(query, LIMIT)

    forms = [Placement.EXACT, Placement.IVF_PQ, *([Placement.CAGRA] if device.cuvs else [])]
    return {
        "bare FAISS, exact, half precision": partial(_bare, vectors),
        **{f"ours, {form.value}": partial(ours, form) for form in forms},
    }


def _bare(vectors: Vector) -> Search:
    import faiss

    resources, half, one_call = faiss.StandardGpuResources(), faiss.GpuIndexFlatConfig(), threading.Lock()
    resources.setTempMemory(SCRATCH_BYTES)
    half.useFloat16 = True
    index = faiss.GpuIndexFlatIP(resources, DIMENSION, half)
    index.add(vectors)

    def ask(query: Vector) -> object:
        with one_call:
            return index.search(query[None], LIMIT)[1][0]

    return ask


def _turns(rivals: Mapping[str, Search], collection: Collection) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each search by one client; queries a second of many."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(_ROUNDS):
        for name, ask in rivals.items():
            for query in collection.queries:
                began = time.perf_counter()
                ask(query)
                times[name].append(time.perf_counter() - began)
            rates[name].append(_crowd(ask, collection.queries))
    return times, {name: median(each) for name, each in rates.items()}


def _crowd(ask: Search, queries: Vector) -> float:
    end = time.perf_counter() + _CROWD_S

    def client(number: int) -> int:
        asked = 0
        while time.perf_counter() < end:
            ask(queries[(number + asked) % len(queries)])
            asked += 1
        return asked

    with ThreadPoolExecutor(_CLIENTS) as threads:
        return sum(threads.map(client, range(_CLIENTS))) / _CROWD_S


def _recall(ask: Search, collection: Collection) -> float:
    hits = 0
    for query, true in zip(collection.queries, collection.truth[1.0], strict=True):
        found = ask(query)
        rows = found if isinstance(found, np.ndarray) else found.rows  # type: ignore[attr-defined]
        hits += len(np.intersect1d(rows, true))
    return hits / (LIMIT * len(collection.queries))


def _quantiles(seconds: list[float]) -> list[float]:
    return [float(np.quantile(seconds, at)) * 1e3 for at in (0.5, 0.95)]


def embedding(count: int) -> None:
    """Texts a second, ours and plain sentence-transformers, in turns."""
    from sentence_transformers import SentenceTransformer

    weights = resolve(MINILM, {}, Path())
    ours = SentenceTransformerEmbedder.load(weights, device="cuda")
    bare, half = (SentenceTransformer(str(weights.folder), device="cuda") for _ in range(2))
    half.half()
    texts = _made_up(count)

    def encode(model: SentenceTransformer, batch_size: int) -> Callable[[], object]:
        return lambda: model.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)

    rivals = {f"bare encode, batches of {size}": encode(bare, size) for size in (32, 256)}
    rivals["bare encode in half precision, batches of 256"] = encode(half, 256)
    rivals["ours"] = lambda: ours.embed_documents(texts)
    _print_rates("texts embedded", rivals, count)


def reranking() -> None:
    """Pairs a second, ours and plain sentence-transformers, in turns, on random weights of MiniLM's shape."""
    from sentence_transformers import CrossEncoder

    texts = _made_up(_QUESTIONS * _TEXTS)
    pairs = [Pair(f"what is said about word{number % _QUESTIONS}?", text) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
        random_cross_encoder(Path(folder))
        ours = CrossEncoderReranker.load(find(folder, None), device="cuda")
        bare = CrossEncoder(folder, device="cuda")

    def predict(batch_size: int) -> Callable[[], object]:
        return lambda: bare.predict([tuple(pair) for pair in pairs], batch_size=batch_size, show_progress_bar=False)

    rivals = {f"bare predict, batches of {size}": predict(size) for size in (32, 256)}
    rivals["ours"] = lambda: ours.scores(pairs)
    _print_rates("pairs scored", rivals, len(pairs))


def _print_rates(what: str, rivals: Mapping[str, Callable[[], object]], count: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(_ROUNDS):
        for name, run in rivals.items():
            began = time.perf_counter()
            run()
            rates[name].append(count / (time.perf_counter() - began))
    first = median(next(iter(rates.values())))
    table = [[name, median(each), median(each) / first] for name, each in rates.items()]
    print_table((what, "a second", "of the first"), table)


def _made_up(count: int) -> list[str]:
    random = np.random.default_rng(1)
    return [" ".join(f"word{number}" for number in random.integers(5_000, size=_WORDS)) for _ in range(count)]


def _bandwidth() -> float:
    """Bytes a second read within the device's memory."""
    import torch

    source = torch.empty(_COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    seconds = []
    for _ in range(_REPEATS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * _COPIED_BYTES / median(seconds)  # read and written


class _Both(io.StringIO):
    """Standard output, kept."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]
        return super().write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here: for `make bench`")
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--texts", type=int, default=4_096)
    arguments = parser.parse_args()
    device = cuda_device(required=False)
    if device is None:
        print("No CUDA device, or no faiss-gpu (`pip install .[gpu]` instead of faiss-cpu): nothing is measured.")
        return
    import torch

    name = torch.cuda.get_device_name()
    with contextlib.redirect_stdout(_Both()) as kept:
        print_heading(f"Search, embedding and reranking on {name}, CUDA {torch.version.cuda}, FAISS {_faiss_version()}")
        search(device, [int(size) for size in arguments.sizes.split(",")])
        embedding(arguments.texts)
        reranking()
    _RESULTS.mkdir(exist_ok=True)
    place = _RESULTS / f"gpu-{re.sub(r'[^A-Za-z0-9]+', '-', name)}-{datetime.now(UTC):%Y-%m-%d}.txt"
    place.write_text(kept.getvalue())
    print(f"Kept in {place}")


def _faiss_version() -> str:
    import faiss

    packages = [name for name in ("faiss-gpu-cuvs", "faiss-gpu", "faiss-cpu") if _installed(name)]
    return f"{faiss.__version__} ({', '.join(packages)})"


def _installed(package: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return bool(version(package))
    return False


if __name__ == "__main__":
    main()
