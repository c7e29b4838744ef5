"""Whether a claim is borne out by what it cites. Stages with fixed bars; nothing is lowered until something passes.

1. The claim is in the evidence, word for word: supported.
2. Its hard facts must be there: a missing number, or a negation that the nearest sentence lacks, makes it unsupported;
   a missing name, or a negation that only the evidence has, keeps it from being supported.
3. The share of its words that the evidence has decides the rest.

Words cannot see a paraphrase: a true claim in other words comes out as `partly`, never a false one as `supported` for
want of anything better. A learned judge takes the place of stage 3 when there are weights for one.
"""

import re
from dataclasses import dataclass

from generation.model import Verdict
from generation.terms import terms
from indexes.sentences import sentences

_SUPPORTED = 0.6
_PARTLY = 0.3

_NOT_WORDS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d)[,'’\u00a0\u202f](?=\d{3}(?!\d))")
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())}
_SPELT = re.compile(rf"\b(?:{'|'.join(word for word in _NUMBER_WORDS if word != 'one')})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=[\w,;:)’'\"] )(?:[A-Z][\w’-]+)")
_NEGATION = re.compile(r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot)\b|n[’']t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence says of one claim; `score` is in 0..1."""

    verdict: Verdict
    score: float


def verify(claim: str, evidence: str) -> Finding:
    """Hold `claim` against `evidence`, the text quoted for it. A claim without words is unverifiable."""
    wanted = set(terms(claim))
    if not wanted:
        return Finding(Verdict.UNVERIFIABLE, 0.0)
    if _plain(claim) in _plain(evidence):
        return Finding(Verdict.SUPPORTED, 1.0)
    share = len(wanted & set(terms(evidence))) / len(wanted)
    verdict = Verdict.SUPPORTED if share >= _SUPPORTED else Verdict.PARTLY if share >= _PARTLY else Verdict.UNSUPPORTED
    denies, denied = _negates(claim), _negates(_nearest(wanted, evidence))
    if not _numbers(claim) <= _numbers(evidence) or (denies and not denied):
        return Finding(Verdict.UNSUPPORTED, min(share, _PARTLY / 2))
    if verdict is Verdict.SUPPORTED and (not _names(claim, evidence) or denies != denied):
        return Finding(Verdict.PARTLY, min(share, _SUPPORTED - 0.1))
    return Finding(verdict, share)


def _plain(text: str) -> str:
    """Words alone, case folded, each between spaces so that a claim matches whole words only."""
    return f" {_NOT_WORDS.sub(' ', text.casefold()).strip()} "


def _numbers(text: str) -> set[str]:
    digits = {_THOUSANDS.sub("", number) for number in _NUMBER.findall(text)}
    return digits | {_NUMBER_WORDS[word.casefold()] for word in _SPELT.findall(text)}


def _names(claim: str, evidence: str) -> bool:
    """Whether every capitalised word inside the claim is in the evidence."""
    found = set(terms(evidence))
    return all(set(terms(name)) <= found for name in _NAME.findall(claim))


def _nearest(wanted: set[str], evidence: str) -> str:
    """The sentence of the evidence with most of the wanted terms: a "not" elsewhere says nothing of the claim."""
    parts = [evidence[start:end] for start, end in sentences(evidence)]
    return max(parts, key=lambda part: len(wanted & set(terms(part))), default="")


def _negates(text: str) -> bool:
    return _NEGATION.search(text) is not None
