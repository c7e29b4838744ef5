"""How well the verifier tells answers that keep to their passages from those that do not, and the fit of it.

    python -m bench.verification --data ../shared/data [--write]

Two sets. `answers`: what three systems answered in RAG turns, rated 1-4 for faithfulness by people (mtRAG); an answer's
score is the mean of its sentences', each held against the passage that bears it out best, and it counts as faithful
from a mean rating of 3. `sentences`: what people wrote from a passage (CLAPnq), held against that passage, and against
the nearest other one, which does not bear it out. One half of each, by tasks and questions drawn with a fixed seed, is
fitted on, the other is reported; `--write` keeps the fit in `generation/calibration.json`.
"""

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from bench.calibrating import Floats, area, keep, reliability
from bench.corpus import Corpus, MiniLm, read
from bench.report import print_heading, print_table
from generation.cite import narrow
from generation.logistic import Logistic
from generation.model import Verdict
from generation.support import Alignment, AlignmentJudge
from generation.verify import Finding, Verifier, verify
from indexes.sentences import sentences

SEED = 20_261_122
FAITHFUL = 3.0
_NOTHING = Finding(Verdict.UNSUPPORTED, 0.0)
CURVES = (("similarity", "share", "pairs"), ("share", "pairs"))
SOURCE = (
    "Logistic regressions by `python -m bench.verification --write` on half of the rated answers of mtRAG and half of "
    "the answers of CLAPnq dev, sentence by sentence, those that hold and those that do not with the same weight; "
    "cosines of all-MiniLM-L6-v2."
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Sentences that are judged together, the texts that may bear them out, and whether they do."""

    kind: str
    claims: tuple[str, ...]
    texts: tuple[str, ...]
    holds: bool
    fitted_on: bool


def claimed(data: Path, model: MiniLm) -> list[Claimed]:
    """Both sets; one half of each is marked to be fitted on."""
    return [*_rated(data / "mtrag-human-ratings"), *_written(data / "clapnq-dev", model)]


def _rated(folder: Path) -> list[Claimed]:
    texts = {row["id"]: row["text"] for row in read(folder / "corpus.jsonl")}
    rows = read(folder / "responses.jsonl")
    half = _half([row["task_id"] for row in rows])
    return [
        Claimed(
            "answers",
            _sentences(row["response"]),
            tuple(texts[one] for one in row["context_ids"] if texts[one].strip()),
            float(np.mean(row["ratings"]["faithfulness"])) >= FAITHFUL,
            row["task_id"] in half,
        )
        for row in rows
    ]


def _written(folder: Path, model: MiniLm) -> list[Claimed]:
    rows = [row for row in read(folder / "qa.jsonl") if row["answerable"]]
    half = _half([row["id"] for row in rows])
    corpus = Corpus.load(folder / "corpus.jsonl", model)
    texts = {chunk.id: chunk.text for chunk in corpus.chunks}
    found: list[Claimed] = []
    for row in rows:
        question = model.rows([row["question"]])[0]
        (other,) = corpus.passages(question, 1, without={row["context_id"]})
        for claim in _sentences(row["answers"][0]):
            for text, holds in ((texts[row["context_id"]], True), (other.hit.chunk.text, False)):
                found.append(Claimed("sentences", (claim,), (text,), holds, row["id"] in half))
    return found


def _half(ids: Sequence[str]) -> frozenset[str]:
    every = sorted(set(ids))
    return frozenset(random.Random(SEED).sample(every, len(every) // 2))


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in sentences(text) if any(map(str.isalpha, text[start:end])))


async def fit(samples: Sequence[Claimed], judge: AlignmentJudge, names: Sequence[str]) -> Logistic:
    """Sentences as they are narrowed by words; each set, and in it what holds and what does not, weighs the same."""
    rows: list[list[float]] = []
    labels: list[bool] = []
    weights: list[float] = []
    kinds: list[tuple[str, bool]] = []
    for sample in samples:
        for claim in sample.claims if sample.texts else ():
            quotes = [text[slice(*narrow(claim, text))] for text in sample.texts]
            best = max(await judge.align(claim, quotes), key=_total)
            rows.append([float(getattr(best, name)) for name in names])
            labels.append(sample.holds)
            weights.append(1.0 / len(sample.claims))
            kinds.append((sample.kind, sample.holds))
    sums = {kind: sum(w for w, one in zip(weights, kinds, strict=True) if one == kind) for kind in set(kinds)}
    balanced = [100 * weight / sums[kind] for weight, kind in zip(weights, kinds, strict=True)]
    fitted = LogisticRegression(C=10, max_iter=5000).fit(np.array(rows), labels, balanced)
    pairs = zip(names, fitted.coef_[0].round(3).tolist(), strict=True)
    return Logistic(round(float(fitted.intercept_[0]), 3), dict(pairs))


def _total(one: Alignment) -> float:
    return one.share + one.pairs + (one.similarity or 0.0)


async def found(sample: Claimed, verifier: Verifier) -> list[Finding]:
    """What the verifier says of each claim, with the text that bears it out best; without texts, that none does."""
    each: list[Finding] = []
    for claim in sample.claims:
        grounds = [await verifier.ground(claim, text, text) for text in sample.texts]
        each.append(max((one.finding for one in grounds), key=_score, default=_NOTHING))
    return each


def by_words(sample: Claimed) -> list[Finding]:
    """The same without a judge."""
    return [
        max(
            (verify(claim, text[slice(*narrow(claim, text))], None, text) for text in sample.texts),
            key=_score,
            default=_NOTHING,
        )
        for claim in sample.claims
    ]


def _score(one: Finding) -> float:
    return one.score


def mean(findings: Sequence[Finding]) -> float:
    """The score of an answer; sentences without words tell nothing."""
    scores = [one.score for one in findings if one.verdict is not Verdict.UNVERIFIABLE]
    return float(np.mean(scores)) if scores else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One set by one verifier: what the claims scored, whether they hold, and the verdicts on single sentences."""

    kind: str
    scores: Floats
    holds: Floats
    findings: list[list[Finding]]


async def run(samples: Sequence[Claimed], verifier: Verifier | None) -> list[Result]:
    """Every set of `samples`; without a verifier, by words alone."""
    results = []
    for kind in ("answers", "sentences"):
        part = [sample for sample in samples if sample.kind == kind]
        findings = [await found(sample, verifier) if verifier else by_words(sample) for sample in part]
        scores = np.array([mean(each) for each in findings])
        results.append(Result(kind, scores, np.array([float(sample.holds) for sample in part]), findings))
    return results


def show(results: dict[str, list[Result]]) -> None:
    """AUROC with intervals, verdicts by truth, and the reliability of the sentence scores."""
    rows = [
        (name, each.kind, len(each.scores), *area(each.holds, each.scores))
        for name, parts in results.items()
        for each in parts
    ]
    print_table(("verifier", "set", "n", "AUROC", "low", "high"), rows)
    for name, parts in results.items():
        (result,) = (each for each in parts if each.kind == "sentences")
        verdicts = [each[0].verdict for each in result.findings]
        for holds in (1.0, 0.0):
            of = [verdict for verdict, truth in zip(verdicts, result.holds, strict=True) if truth == holds]
            shares = ", ".join(f"{verdict} {of.count(verdict) / len(of):.2f}" for verdict in Verdict)
            print(f"{name}, sentences that {'hold' if holds else 'do not'}: {shares}")
        print(f"{name}, reliability: {reliability(result.holds, result.scores)}\n")


async def measure(data: Path, model: MiniLm, write: bool = False) -> dict[str, list[Result]]:
    """The held-out half, by words and with the embedding model; `write` fits first."""
    samples = claimed(data, model)
    judge = AlignmentJudge(model.embed)
    if write:
        half = [sample for sample in samples if sample.fitted_on]
        curves = [await fit(half, judge, names) for names in CURVES]
        keep("support", SOURCE, curves)
        judge = AlignmentJudge(model.embed, curves)
    held_out = [sample for sample in samples if not sample.fitted_on]
    return {"words": await run(held_out, None), "alignment": await run(held_out, Verifier(judge))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    print_heading(f"verification, halves by seed {SEED}")
    model = MiniLm()
    show(asyncio.run(measure(arguments.data, model, arguments.write)))
    model.keep()


if __name__ == "__main__":
    main()
