"""Whether the passages hold an answer at all: a calibrated guess, and what is said when they do not."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from generation.candidates import Evidence
from generation.logistic import Logistic, probability, shipped
from generation.model import AbstainReason, Answer, Answered, AnswerEvent, Passage, Question, TextDelta

_NEAREST = 3
SAID = {
    AbstainReason.NO_HITS: "Nothing was found in the documents for this question.",
    AbstainReason.LOW_CONFIDENCE: "The documents do not seem to answer this question.",
    AbstainReason.UNSUPPORTED: "The documents do not support an answer to this question.",
    AbstainReason.CONFLICTING: "The documents contradict each other on this question.",
    AbstainReason.FILTERED: "No document that may be used here answers this question.",
}


@dataclass(frozen=True, slots=True)
class Signals:
    """What retrieval and wording say of the chance of an answer; None where it was not measured.

    `dense` is the cosine of the question with the best passage, `similarity` with the best sentence. `coverage` is the
    share, 0..1, of the question's terms, weighted by rarity, that the best sentence and its context have.
    """

    coverage: float
    dense: float | None = None
    similarity: float | None = None

    @classmethod
    def of(cls, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> "Signals":
        """The best of each over all passages and all of their sentences."""
        cosines = [passage.hit.scores.dense for passage in passages if passage.hit.scores.dense is not None]
        similarities = [each.similarity for each in evidence if each.similarity is not None]
        return cls(
            coverage=max((each.in_context for each in evidence), default=0.0),
            dense=max(cosines, default=None),
            similarity=max(similarities, default=None),
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """What answering above `threshold` came to: `precision`, the share of the answered questions that the documents
    do answer, where they answer half of all.
    """

    threshold: float
    precision: float


class Calibration:
    """Turns signals into the probability that the passages answer the question.

    `curves` are tried in order: the first whose signals were all measured is used. Those that ship are fitted by
    `python -m bench.abstention --write`; `calibration.json` says on what. Cosines mean different things for different
    embedding models, so another model needs a fit of its own.
    """

    def __init__(self, curves: Sequence[Logistic], bars: Sequence[Bar] = ()) -> None:
        """`bars` have rising thresholds."""
        self._curves = tuple(curves)
        self._bars = tuple(bars)

    @classmethod
    def shipped(cls) -> "Calibration":
        """The calibration in `calibration.json`."""
        data = json.loads(files("generation").joinpath("calibration.json").read_text("utf-8"))["answerable"]
        return cls(shipped("answerable"), [Bar(*bar) for bar in data["bars"]])

    def confidence(self, signals: Signals) -> float:
        """In 0..1; 0 where no curve reads the signals that there are."""
        return probability(self._curves, signals)

    def threshold(self, precision: float) -> float:
        """The least confidence above which that share of answers was right to be given; the highest bar if none was."""
        met = (bar.threshold for bar in self._bars if bar.precision >= precision)
        return next(met, self._bars[-1].threshold if self._bars else 1.0)


class Abstention:
    """When an answerer says that there is no answer instead of making one.

    `below` is the least confidence, or with `precision` what the calibration says gives that share of right answers.
    """

    def __init__(self, below: float, precision: float | None, calibration: Calibration | None = None) -> None:
        self._below = below
        self._precision = precision
        self._calibration = calibration or Calibration.shipped()

    def confidence(self, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> float:
        """In 0..1; 0 without passages."""
        return self._calibration.confidence(Signals.of(passages, evidence)) if passages else 0.0

    def reason(self, question: Question, passages: Sequence[Passage], confidence: float) -> AbstainReason | None:
        """Why there is no answer, as far as one may say without telling of documents that may not be seen (I9)."""
        if not passages:
            return AbstainReason.FILTERED if question.filtered else AbstainReason.NO_HITS
        precision = question.answer_precision or self._precision
        least = self._below if precision is None else self._calibration.threshold(precision)
        return AbstainReason.LOW_CONFIDENCE if confidence < least else None


def abstained(answer: Answer, reason: AbstainReason, passages: Sequence[Passage]) -> Iterator[AnswerEvent]:
    """The events of an answer that says there is none, why, and which documents come nearest.

    `answer` holds what is known already: model, confidence, usage; its text and citations are replaced.
    """
    text = SAID[reason]
    nearest = list(dict.fromkeys(passage.hit.key for passage in passages))[:_NEAREST]
    if nearest:
        text += f" The nearest documents are: {', '.join(nearest)}."
    yield TextDelta(text)
    yield Answered(replace(answer, text=text, citations=(), sentences=(), abstained=True, abstain_reason=reason))
