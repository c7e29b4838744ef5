"""Whether a claim is borne out by what it cites. Stages with fixed bars; nothing is lowered until something passes.

1. The claim is in the evidence, word for word: supported.
2. Its hard facts must be there: a missing number or date, or a negation that the nearest sentence lacks, makes it
   unsupported; a missing name, or a negation that only the evidence has, keeps it from being supported.
3. A judge decides the rest by a calibrated probability (`support`).

A true claim in other words may come out as `partly`, never a false one as `supported` for want of anything better.
"""

import re
from dataclasses import dataclass

from generation.facts import dates, names, negates, numbers
from generation.logistic import probability, shipped
from generation.model import Verdict
from generation.support import Alignment, SupportJudge
from generation.terms import terms
from indexes.sentences import Offsets, sentences

# Of the probability of support, where claims that hold and claims that do not are equally many. They are part of what
# a verdict means: another judge is fitted to them, not they to it.
SUPPORTED = 0.7
PARTLY = 0.3
_DISPROVED = 0.1  # the most that a claim scores whose facts are not there
_MOST_SENTENCES = 3
_WORTH_A_SENTENCE = 0.05  # of probability that a further sentence must add to be quoted too
_SHORTLIST = 24  # sentences of a passage that a judge reads

_NOT_WORDS = re.compile(r"[\W_]+")
_WORDS_ALONE = shipped("support")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence says of one claim; `score` is the probability, 0..1, that it bears the claim out."""

    verdict: Verdict
    score: float


@dataclass(frozen=True, slots=True)
class Grounds:
    """The sentences of a text that carry a claim best, `text[start:end]`, and what they say of it."""

    start: int
    end: int
    finding: Finding


def verify(claim: str, evidence: str, support: float | None = None, context: str = "") -> Finding:
    """Hold `claim` against `evidence`, the text quoted for it. A claim without words is unverifiable.

    `support` is the judge's probability; without it, words alone decide. Names may also be in `context`: what a reader
    of the quote has before him, such as its headings.
    """
    wanted = set(terms(claim))
    if not wanted:
        return Finding(Verdict.UNVERIFIABLE, 0.0)
    if _plain(claim) in _plain(evidence):
        return Finding(Verdict.SUPPORTED, 1.0)
    score = probability(_WORDS_ALONE, Alignment.of(claim, evidence)) if support is None else support
    denies, denied = negates(claim), negates(_nearest(wanted, evidence))
    missing = numbers(claim) - numbers(evidence) or dates(claim) - dates(evidence)
    if missing or (denies and not denied):
        return Finding(Verdict.UNSUPPORTED, min(score, _DISPROVED))
    if score >= SUPPORTED and (denies != denied or not names(claim) <= set(terms(f"{context} {evidence}"))):
        return Finding(Verdict.PARTLY, SUPPORTED - 0.1)
    return Finding(_verdict(score), score)


class Verifier:
    """Verifies with a judge."""

    def __init__(self, judge: SupportJudge) -> None:
        self._judge = judge

    async def check(self, claim: str, evidence: str, context: str = "") -> Finding:
        """As `verify`. Raises what the judge raises."""
        (support,) = await self._judge.support(claim, [evidence])
        return verify(claim, evidence, support, context)

    async def ground(self, claim: str, text: str, context: str = "") -> Grounds:
        """The sentence of `text` that bears `claim` out best, with its neighbours where they add to it.

        `text` must not be blank. Raises what the judge raises.
        """
        spans = sentences(text)
        wanted = set(terms(claim))
        shared = [len(wanted & set(terms(text[start:end]))) for start, end in spans]
        listed = sorted(sorted(range(len(spans)), key=lambda at: -shared[at])[:_SHORTLIST])
        alone = await self._judge.support(claim, [text[slice(*spans[at])] for at in listed])
        best = listed[max(range(len(listed)), key=alone.__getitem__)]
        windows = _around(best, spans)
        supports = await self._judge.support(claim, [text[start:end] for start, end in windows])
        findings = [
            verify(claim, text[start:end], support, context)
            for (start, end), support in zip(windows, supports, strict=True)
        ]
        # Further sentences must be worth reading: for the support they add, or for a fact that the best one lacks.
        price = [_WORTH_A_SENTENCE * len(sentences(text[start:end])) for start, end in windows]
        at = max(range(len(windows)), key=lambda at: findings[at].score - price[at])
        return Grounds(*windows[at], findings[at])


def _around(best: int, spans: list[Offsets]) -> list[Offsets]:
    """Up to `_MOST_SENTENCES` sentences in a row with the best one among them, the shortest first."""
    return [
        (spans[first][0], spans[first + count - 1][1])
        for count in range(1, _MOST_SENTENCES + 1)
        for first in range(best - count + 1, best + 1)
        if first >= 0 and first + count <= len(spans)
    ]


def _verdict(score: float) -> Verdict:
    return Verdict.SUPPORTED if score >= SUPPORTED else Verdict.PARTLY if score >= PARTLY else Verdict.UNSUPPORTED


def _plain(text: str) -> str:
    """Words alone, case folded, each between spaces so that a claim matches whole words only."""
    return f" {_NOT_WORDS.sub(' ', text.casefold()).strip()} "


def _nearest(wanted: set[str], evidence: str) -> str:
    """The sentence of the evidence with most of the wanted terms: a "not" elsewhere says nothing of the claim."""
    parts = [evidence[start:end] for start, end in sentences(evidence)]
    return max(parts, key=lambda part: len(wanted & set(terms(part))), default="")
