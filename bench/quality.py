"""What search finds on judged sets, beside public reference lines, and which fusion holds on all of them.

    python -m bench.quality --data ../shared/data [--cache .citewell/bench] [--no-sweep]

The documents go through the platform's own chunker, embedder, analyser and index; a document ranks by its best
passage. XQuAD says what becomes of languages that the default model does not know: each is analysed by its own
language, and by English, which is the default of a store. The first run embeds 14,000 chunks, which takes minutes;
their vectors are kept.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.fusions import Fusion, by_plain_score, by_rank, by_score
from bench.home import PROJECT, STORE, Home, document_of
from bench.judged import XQUAD, JudgedSet, clapnq, scifact, xquad
from bench.report import print_heading, print_table
from evaluation.measures import Quality, quality
from indexes.lexical import Analyser
from indexes.model import Match
from retrieval.query import Query
from retrieval.search import Searcher
from retrieval.settings import SearchSettings

SETTINGS = SearchSettings()
DEPTH = 400  # chunks of a search by one kind: enough for 100 documents by their best passage
MOST_RESULTS = 50  # of one request of the API
WEIGHTS = ((2, 1), (3, 2), (1, 1), (2, 3), (1, 2))
RRF_KS = (5, 60)
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

Rankings = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on one set, by query: matches of each kind of search, documents of the whole search."""

    judged: JudgedSet
    dense: Mapping[str, list[Match]]
    lexical: Mapping[str, list[Match]]
    hybrid: Rankings

    def runs(self) -> dict[str, Quality]:
        """The three kinds of search."""
        runs = {"dense": _documents(self.dense), "BM25": _documents(self.lexical), "hybrid": self.hybrid}
        return {kind: quality(run, self.judged.judgements) for kind, run in runs.items()}

    def ndcg(self, fusion: Fusion, candidates: int = SETTINGS.candidates) -> float:
        """nDCG@10 of a fusion of so many matches of each kind."""
        rankings: dict[str, list[str]] = {}
        for query in self.dense:
            dense, lexical = self.dense[query][:candidates], self.lexical[query][:candidates]
            owners = {match.chunk_id: document_of(match) for match in (*dense, *lexical)}
            rankings[query] = [owners[chunk_id] for chunk_id in fusion(dense, lexical)]
        return quality(rankings, self.judged.judgements).ndcg_10


async def find(judged: JudgedSet, cache: Path) -> Found:
    """Index the set, and ask every query."""
    async with Home.open(language=judged.language) as home:
        await judged.index(home, cache)
        analyser, index = Analyser(home.manifest.lexical), home.index
        embedder = await home.models.embedder(home.manifest.embedding)
        searcher = Searcher.unobserved(home.database, home.engine, home.models, SETTINGS)
        dense, lexical, hybrid = {}, {}, {}
        for query, text in judged.queries.items():
            dense[query] = index.dense((await embedder.queries([text]))[0], DEPTH)
            lexical[query] = index.lexical(analyser.query(text), DEPTH)
            found = await searcher.search(PROJECT, STORE, Query((text,), MOST_RESULTS))
            hybrid[query] = [hit.key for hit in found.hits]
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
    """nDCG@10 of fusions on every set. The gain is over the better of the two single searches, where it is least."""
    names = [one.judged.name for one in found]
    single = {"dense alone": by_rank(1, 0, SETTINGS.rrf_k), "BM25 alone": by_rank(0, 1, SETTINGS.rrf_k)}
    better = [max(one.ndcg(fusion) for fusion in single.values()) for one in found]

    def row(name: str, fusion: Fusion) -> list[object]:
        figures = [one.ndcg(fusion) for one in found]
        return [name, *figures, min(figure - best for figure, best in zip(figures, better, strict=True))]

    fusions = {
        **single,
        **{f"RRF {d}:{w}, k={k}": by_rank(d, w, k) for d, w in WEIGHTS for k in RRF_KS},
        **{f"plain scores {d}:{w}": by_plain_score(d / (d + w)) for d, w in WEIGHTS},
        **{f"scores {d}:{w}": by_score(d, w, SETTINGS.candidates) for d, w in WEIGHTS},
    }
    print("nDCG@10 by fusion; weights are dense:lexical")
    print_table(["fusion", *names, "least gain"], [row(name, fusion) for name, fusion in fusions.items()])
    default = partial(by_score, SETTINGS.dense_weight, SETTINGS.lexical_weight)
    print("nDCG@10 by candidates of each search, default fusion")
    rows = [[count, *(one.ndcg(default(count), count) for one in found)] for count in CANDIDATES]
    print_table(["candidates", *names], rows)


def _documents(found: Mapping[str, list[Match]]) -> Rankings:
    return {query: [document_of(match) for match in matches] for query, matches in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where vectors are kept")
    parser.add_argument("--no-sweep", action="store_true", help="leave the fusion sweep out")
    arguments = parser.parse_args()
    print_heading("Search quality")
    foreign = [xquad(arguments.data, code) for code in XQUAD]
    as_english = [replace(judged, name=f"{judged.name} as english", language="english") for judged in foreign]
    sets = [scifact(arguments.data), clapnq(arguments.data), *foreign, *as_english]
    found = [asyncio.run(find(judged, arguments.cache)) for judged in sets]
    print_runs(found)
    if not arguments.no_sweep:
        print_sweeps(found[: -len(as_english)])


if __name__ == "__main__":
    main()
