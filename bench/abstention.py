"""How well confidence tells questions that the documents answer from those that they do not, and the fit of it.

    python -m bench.abstention --data ../shared/data [--write]

Positives: the answerable questions of CLAPnq dev on its passages. Negatives of three kinds: `near`, the unanswerable
ones, whose passages are about the matter; `gone`, the answerable ones with their passage taken out; `far`, the same on
600 abstracts of SciFact. Every other question is fitted on, the rest is reported; `--write` keeps that fit in
`generation/calibration.json`.
"""

import argparse
import asyncio
from collections.abc import Collection
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.calibrating import Floats, keep
from bench.corpus import Corpus, MiniLm, read
from generation.abstain import Calibration, Signals
from generation.candidates import candidates
from generation.extractive import rank
from generation.logistic import Logistic
from generation.settings import GenerationSettings

CURVES = (("dense", "similarity", "coverage"), ("dense", "coverage"), ("coverage",))
NEGATIVES = ("near", "gone", "far")
SOURCE = (
    "Logistic regressions by `python -m bench.abstention --write` on every other question of CLAPnq dev: answerable "
    "against unanswerable, answerable without their passage, and answerable on SciFact, each kind with the same "
    "weight; cosines of all-MiniLM-L6-v2 with texts below their titles."
)

Groups = dict[str, list[Signals]]


async def measure(data: Path, model: MiniLm) -> Groups:
    """The signals of every question, by kind."""
    rows = read(data / "clapnq-dev" / "qa.jsonl")
    own = Corpus.load(data / "clapnq-dev" / "corpus.jsonl", model)
    other = Corpus.load(data / "scifact" / "corpus.jsonl", model, 600)
    limit = GenerationSettings().embedded_sentences

    async def signals(corpus: Corpus, question: str, without: Collection[str] = ()) -> Signals:
        passages = corpus.passages(model.rows([question])[0], without=without)
        evidence, _ = await rank(question, candidates(passages), model.embed, limit)
        return Signals.of(passages, evidence)

    asked = [(row["question"], row["context_id"]) for row in rows if row["answerable"]]
    return {
        "answered": [await signals(own, question) for question, _ in asked],
        "near": [await signals(own, row["question"]) for row in rows if not row["answerable"]],
        "gone": [await signals(own, question, {context}) for question, context in asked],
        "far": [await signals(other, question) for question, _ in asked],
    }


def fit(groups: Groups, names: tuple[str, ...]) -> Logistic:
    """Weights for the signals `names`; positives and each kind of negatives count the same in sum."""
    parts = {
        kind: np.array([[getattr(one, name) for name in names] for one in found]) for kind, found in groups.items()
    }
    share = {"answered": 1.0, **dict.fromkeys(NEGATIVES, 1.0 / len(NEGATIVES))}
    weights = np.concatenate([np.full(len(part), share[kind] * 100 / len(part)) for kind, part in parts.items()])
    labels = np.concatenate([np.full(len(part), kind == "answered") for kind, part in parts.items()])
    fitted = LogisticRegression(C=10, max_iter=5000).fit(np.concatenate(list(parts.values())), labels, weights)
    pairs = zip(names, fitted.coef_[0].round(3).tolist(), strict=True)
    return Logistic(round(float(fitted.intercept_[0]), 3), dict(pairs))


def bars(curve: Logistic, groups: Groups) -> list[tuple[float, float]]:
    """Thresholds with the precision of answering above them, made to rise with the threshold."""
    scores = confidences(curve, groups)
    found: list[tuple[float, float]] = []
    for threshold in (round(0.05 * step, 2) for step in range(1, 20)):
        right = float((scores["answered"] >= threshold).mean())
        wrong = float(np.mean([(scores[kind] >= threshold).mean() for kind in NEGATIVES]))
        if right > 0:
            found.append((threshold, max(round(right / (right + wrong), 3), found[-1][1] if found else 0.0)))
    return found


def confidences(curve: Logistic, groups: Groups) -> dict[str, Floats]:
    """By kind of question."""
    calibration = Calibration([curve])
    return {kind: np.array([calibration.confidence(one) for one in found]) for kind, found in groups.items()}


def report(curve: Logistic, groups: Groups, thresholds: Collection[float]) -> None:
    """AUROC of each kind of negatives against the positives, and how many are answered at each threshold."""
    scores = confidences(curve, groups)
    print(f"{' + '.join(curve.weights)}: " + ", ".join(f"{kind} {_area(scores, kind):.3f}" for kind in NEGATIVES))
    for threshold in thresholds:
        shares = (f"{kind} {float((found >= threshold).mean()):.2f}" for kind, found in scores.items())
        print(f"  share answered at {threshold}: {', '.join(shares)}")


def _area(scores: dict[str, Floats], kind: str) -> float:
    labels = np.repeat([1, 0], [len(scores["answered"]), len(scores[kind])])
    return float(roc_auc_score(labels, np.concatenate([scores["answered"], scores[kind]])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    model = MiniLm()
    groups = asyncio.run(measure(arguments.data, model))
    fitted_on = {kind: found[0::2] for kind, found in groups.items()}
    curves = [fit(fitted_on, names) for names in CURVES]
    settings = GenerationSettings()
    print("AUROC on the held-out half, answered against:")
    for curve in curves:
        held_out = {kind: found[1::2] for kind, found in groups.items()}
        report(curve, held_out, (settings.llm_abstain_below, 0.3, settings.abstain_below, 0.5))
    if arguments.write:
        keep("answerable", SOURCE, curves, bars(curves[0], fitted_on))
    model.keep()


if __name__ == "__main__":
    main()
