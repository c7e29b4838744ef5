"""What a CUDA device does: exact search against the floor that its memory sets, CAGRA, and embedding.

    python -m bench.gpu [--sizes 100000,1000000] [--texts 4096]

The floor of a search is the bytes of the vectors over the bandwidth of the memory, measured by copying within it.
Embedding has plain sentence-transformers beside it. Writes `bench/results/gpu-<device>-<date>.txt` as well. Without a
device, or without faiss-gpu, it says so and ends with status 0.
"""

import argparse
import contextlib
import io
import re
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

from bench.ann_data import DIMENSION, LIMIT, clustered
from bench.report import print_heading, print_table
from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.weights import MINILM, resolve
from indexes.engines.faiss_gpu import CudaDevice, cuda_device
from indexes.engines.gpu_device import DeviceFailure
from indexes.engines.gpu_plan import Placement

_RESULTS = Path(__file__).parent / "results"
_REPEATS = 20
_COPIED_BYTES = 2 << 30
_WORDS = 180  # of a made-up text


def search(device: CudaDevice, sizes: list[int]) -> None:
    """One query after another in each form, beside the floor of the exact one."""
    bandwidth = _bandwidth()
    print(f"Memory bandwidth by copying: {bandwidth / 1e9:,.0f} GB/s\n")
    table = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
            collection = clustered(size, 200, Path(folder))
            vectors = np.load(collection.path)
        floor_ms = 2 * size * DIMENSION / bandwidth * 1e3
        for form in (Placement.EXACT, Placement.IVF_PQ, *([Placement.CAGRA] if device.cuvs else [])):
            began = time.perf_counter()
            try:
                index = device.put(vectors, form)
            except DeviceFailure as error:
                print(f"{form.value} of {size:,}: {error}")
                continue
            built_s, hits, seconds = time.perf_counter() - began, 0, []
            for query, true in zip(collection.queries, collection.truth[1.0], strict=True):
                began = time.perf_counter()
                found = index.search(query, LIMIT)
                seconds.append(time.perf_counter() - began)
                best = found.rows[np.argsort(-found.scores)[:LIMIT]]
                hits += len(set(best.tolist()) & set(true.tolist()))
            p50 = median(seconds) * 1e3
            recall = hits / (LIMIT * len(collection.queries))
            over = p50 / floor_ms if form is Placement.EXACT else None
            table.append([f"{size:,} {form.value}", built_s, recall, p50, floor_ms, over])
    print_table(("", "build s", "recall@10", "p50 ms", "floor ms", "p50 / floor"), table)


def embedding(count: int) -> None:
    """Texts a second, ours and plain sentence-transformers, in turns."""
    from sentence_transformers import SentenceTransformer

    weights = resolve(MINILM, {}, Path())
    ours = SentenceTransformerEmbedder.load(weights, device="cuda")
    bare = SentenceTransformer(str(weights.folder), device="cuda")
    random = np.random.default_rng(1)
    texts = [" ".join(f"word{number}" for number in random.integers(5_000, size=_WORDS)) for _ in range(count)]
    rivals: dict[str, Callable[[], object]] = {
        "bare encode, batches of 32": lambda: bare.encode(texts, normalize_embeddings=True, show_progress_bar=False),
        "bare encode, batches of 256": lambda: bare.encode(
            texts, batch_size=256, normalize_embeddings=True, show_progress_bar=False
        ),
        "ours": lambda: ours.embed_documents(texts),
    }
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(3):
        for name, embed in rivals.items():
            began = time.perf_counter()
            embed()
            rates[name].append(count / (time.perf_counter() - began))
    print_table(("", "texts/s"), [[name, median(each)] for name, each in rates.items()])


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
        print_heading(f"Search and embedding on {name}, CUDA {torch.version.cuda}, FAISS {_faiss_version()}")
        search(device, [int(size) for size in arguments.sizes.split(",")])
        embedding(arguments.texts)
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
