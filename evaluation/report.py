"""What the gate says of a candidate: a verdict, why, and the figures behind it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from evaluation.changes import Change


class Verdict(StrEnum):
    """Of one line, or of all. `insufficient`: nothing speaks against the candidate, and too little for it."""

    PASSED = "passed"
    INSUFFICIENT = "insufficient"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One measure over all queries.

    `live` and `candidate` are its means, `estimate` is what is compared with `limit` (a difference, a ratio or the
    measure itself), `low` and `high` are the ends of its interval. `verdict` is None where the line is shown and not
    judged. `reason` says what is wrong and what to do, unless the line passed.
    """

    measure: str
    queries: int
    live: float | None = None
    candidate: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    probability_of_loss: float | None = None
    limit: float | None = None
    verdict: Verdict | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON data, null for what is not known."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """All lines, all queries, and `remarks`: what a reader of the verdict should know."""

    lines: tuple[Line, ...]
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the lines."""
        verdicts = {line.verdict for line in self.lines}
        return next((one for one in (Verdict.FAILED, Verdict.INSUFFICIENT) if one in verdicts), Verdict.PASSED)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not `passed`, what failed first; empty where it is."""
        failed = [line.reason for line in self.lines if line.verdict is Verdict.FAILED]
        insufficient = [line.reason for line in self.lines if line.verdict is Verdict.INSUFFICIENT]
        return tuple(reason for reason in (*failed, *insufficient) if reason)

    @property
    def worse(self) -> tuple[Change, ...]:
        """The judged queries that lost, the greatest loss first."""
        return tuple(one for one in sorted(self.changes, key=_gain) if _gain(one) < 0)

    @property
    def better(self) -> tuple[Change, ...]:
        """The judged queries that won, the greatest gain first."""
        return tuple(one for one in sorted(self.changes, key=_gain, reverse=True) if _gain(one) > 0)

    @property
    def unjudged(self) -> tuple[Change, ...]:
        """The queries of which nothing is known, the most changed first."""
        unjudged = (one for one in self.changes if one.gain is None)
        return tuple(sorted(unjudged, key=lambda one: one.rank_biased_overlap))

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Judged queries that neither won nor lost are left out of the lists."""
        return {
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "remarks": list(self.remarks),
            "lines": [line.to_json() for line in self.lines],
            "worse": _listed(self.worse),
            "better": _listed(self.better),
            "unjudged": _listed(self.unjudged),
        }


def _gain(change: Change) -> float:
    return change.gain or 0.0


def _listed(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [change.to_json() for change in changes]
