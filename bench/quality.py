"""What search finds on judged sets, beside public reference lines, and which fusion holds on all of them.

    python -m bench.quality --data ../shared/data [--cache .citewell/bench] [--no-sweep]

The documents go through the platform's own chunker, embedder, analyser and index; a document ranks by its best
passage. The first run embeds 9,000 chunks, which takes minutes; later ones take seconds.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.home import PROJECT, STORE, Home, document_of
from bench.judged import JudgedSet, clapnq, scifact
from bench.report import print_heading, print_table
from evaluation.measures import Quality, quality
from indexes.lexical import Analyser
from indexes.model import Match
from retrieval.fuse import reciprocal_rank
from retrieval.search import Query, Searcher
from retrieval.settings import SearchSettings

DEPTH = 400  # chunks of a search by one kind: enough for 100 documents by their best passage
MOST_RESULTS = 50  # of one request of the API
WEIGHTS = ((1, 0), (3, 1), (2, 1), (3, 2), (1, 1), (2, 3), (1, 2), (1, 3), (0, 1))
RRF_KS = (5, 10, 20, 60, 100)
CANDIDATES = (20, 60, 100, 200)

# From the README of the data: nDCG@10, recall@10, recall@100. Public tools, whole documents, MiniLM cut at 256 tokens,
# equal weights, k 60, 100 documents of each.
REFERENCE = {
    ("scifact", "dense"): (0.645, 0.783, 0.925),
    ("scifact", "BM25"): (0.679, 0.808, 0.913),
    ("clapnq", "dense"): (0.985, 1.000, 1.000),
    ("clapnq", "BM25"): (0.945, 0.980, 0.997),
    ("clapnq", "hybrid"): (0.975, 0.997, 1.000),
}

Rankings = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """What each kind of search found on one set, by query, and what the whole search made of it."""

    judged: JudgedSet
    dense: Mapping[str, list[Match]]
    lexical: Mapping[str, list[Match]]
    hybrid: Rankings

    def runs(self) -> dict[str, Quality]:
        """The three kinds of search."""
        single = {"dense": self.dense, "BM25": self.lexical}
        runs = {
            kind: {query: [document_of(match) for match in matches] for query, matches in found.items()}
            for kind, found in single.items()
        }
        return {kind: quality(run, self.judged.judgements) for kind, run in {**runs, "hybrid": self.hybrid}.items()}

    def fused(self, weights: tuple[float, float], rrf_k: float, candidates: int) -> float:
        """nDCG@10 of a fusion."""
        rankings: Rankings = {}
        for query, found in self.dense.items():
            lists = found[:candidates], self.lexical[query][:candidates]
            owners = {match.chunk_id: document_of(match) for matches in lists for match in matches}
            fused = reciprocal_rank(*lists, k=rrf_k, dense_weight=weights[0], lexical_weight=weights[1])
            rankings[query] = [owners[chunk_id] for chunk_id in fused]
        return quality(rankings, self.judged.judgements).ndcg_10


async def find(judged: JudgedSet, folder: Path) -> Found:
    """Ask every query of the home in `folder`."""
    async with Home.open(folder) as home:
        analyser, index = Analyser(home.manifest.lexical), home.index
        embedder = await home.models.embedder(home.manifest.embedding)
        searcher = Searcher(home.database, home.engine, home.models, SearchSettings())
        dense, lexical, hybrid = {}, {}, {}
        for query, text in judged.queries.items():
            dense[query] = index.dense((await embedder.queries([text]))[0], DEPTH)
            lexical[query] = index.lexical(analyser.query(text), DEPTH)
            hits = await searcher.search(PROJECT, STORE, Query((text,), MOST_RESULTS))
            hybrid[query] = [hit.key for hit in hits]
    return Found(judged, dense, lexical, hybrid)


def print_runs(found: Sequence[Found]) -> None:
    """Each kind of search at its defaults, beside its reference line."""
    rows = []
    for one in found:
        for kind, measured in one.runs().items():
            reference = REFERENCE.get((one.judged.name, kind), (None, None, None))
            ratio = measured.ndcg_10 / reference[0] if reference[0] else None
            figures = (measured.ndcg_10, measured.recall_10, measured.recall_100, measured.mrr_10)
            rows.append([f"{one.judged.name}, {kind}", measured.queries, *figures, *reference, ratio])
    measures = ["nDCG@10", "recall@10", "recall@100"]
    print_table(["run", "queries", *measures, "MRR@10", *(f"ref {name}" for name in measures), "nDCG/ref"], rows)
    print(f"Hybrid is the whole search by default settings, {MOST_RESULTS} chunks a query.\n")


def print_sweeps(found: Sequence[Found]) -> None:
    """nDCG@10 over weights and k on every set, and over the number of candidates."""
    settings = SearchSettings()
    rows = [
        [f"{weights[0]}:{weights[1]}", *(one.fused(weights, k, settings.candidates) for one in found for k in RRF_KS)]
        for weights in WEIGHTS
    ]
    print("nDCG@10 by dense:lexical weights and RRF k")
    print_table(["weights", *(f"{one.judged.name} k={k}" for one in found for k in RRF_KS)], rows)
    weights = settings.dense_weight, settings.lexical_weight
    rows = [[count, *(one.fused(weights, settings.rrf_k, count) for one in found)] for count in CANDIDATES]
    print("nDCG@10 by candidates of each search, default weights")
    print_table(["candidates", *(one.judged.name for one in found)], rows)


async def measure(sets: Sequence[JudgedSet], cache: Path) -> list[Found]:
    """Index what is not in the cache, then ask."""
    return [await find(one, await one.home(cache)) for one in sets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where indexed sets are kept")
    parser.add_argument("--no-sweep", action="store_true", help="leave the fusion sweep out")
    arguments = parser.parse_args()
    print_heading("Search quality")
    found = asyncio.run(measure([scifact(arguments.data), clapnq(arguments.data)], arguments.cache))
    print_runs(found)
    if not arguments.no_sweep:
        print_sweeps(found)


if __name__ == "__main__":
    main()
