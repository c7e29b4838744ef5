"""Logistic regressions as data: fitted by a bench, kept in `calibration.json`, applied here."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Logistic:
    """One fitted logistic regression: a weight for each signal that it reads."""

    bias: float
    weights: Mapping[str, float]

    def probability(self, signals: object) -> float | None:
        """In 0..1, by the attributes of `signals` that have the names of the weights; None where one is None."""
        values = {name: getattr(signals, name) for name in self.weights}
        if None in values.values():
            return None
        total = self.bias + sum(weight * values[name] for name, weight in self.weights.items())
        return 1.0 / (1.0 + math.exp(-total))


def probability(curves: Iterable[Logistic], signals: object) -> float:
    """By the first curve whose signals were all measured; 0 where there is none."""
    return next((found for curve in curves if (found := curve.probability(signals)) is not None), 0.0)


def shipped(name: str) -> Sequence[Logistic]:
    """The curves of that name in `calibration.json`, which says what they were fitted on."""
    data = json.loads(files("generation").joinpath("calibration.json").read_text("utf-8"))
    return [Logistic(curve["bias"], curve["weights"]) for curve in data[name]["curves"]]
