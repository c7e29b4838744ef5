"""What the fitting benches share: areas with intervals, reliability, and the file that keeps a fit."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from generation.logistic import Logistic

Floats = NDArray[np.float64]

TARGET = Path(__file__).parents[1] / "generation" / "calibration.json"
_SEED = 20_261_122
_RESAMPLES = 1_000


def area(labels: Floats, scores: Floats) -> tuple[float, float, float]:
    """AUROC and the ends of its 90 % bootstrap interval, each class drawn again by itself."""
    generator = np.random.default_rng(_SEED)
    good, bad = scores[labels > 0.5], scores[labels <= 0.5]

    def drawn() -> float:
        return _area(generator.choice(good, len(good)), generator.choice(bad, len(bad)))

    low, high = np.quantile([drawn() for _ in range(_RESAMPLES)], [0.05, 0.95])
    return _area(good, bad), float(low), float(high)


def _area(good: Floats, bad: Floats) -> float:
    labels = np.repeat([1, 0], [len(good), len(bad)])
    return float(roc_auc_score(labels, np.concatenate([good, bad])))


def reliability(labels: Floats, scores: Floats, bins: int = 5) -> str:
    """What was promised and what came, by bins of the score, and the expected calibration error."""
    place = np.minimum((scores * bins).astype(int), bins - 1)
    parts, error = [], 0.0
    for at in range(bins):
        inside = place == at
        if inside.any():
            said, came = float(scores[inside].mean()), float(labels[inside].mean())
            error += abs(said - came) * inside.mean()
            parts.append(f"{said:.2f}->{came:.2f} ({inside.sum()})")
    return f"{', '.join(parts)}; error {error:.3f}"


def keep(name: str, source: str, curves: Sequence[Logistic], bars: Sequence[tuple[float, float]] = ()) -> None:
    """Put the curves into `calibration.json`, with thresholds and the precision that they gave; the others stay."""
    data = json.loads(TARGET.read_text("utf-8"))
    kept = [{"bias": curve.bias, "weights": dict(curve.weights)} for curve in curves]
    data[name] = {"source": source, "curves": kept} | ({"bars": bars} if bars else {})
    TARGET.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
