"""Which sentences make the answer, and in which order a reader gets them."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from generation.candidates import Candidate, Evidence
from indexes.sentences import is_table_row

# Logistic weights of a sentence being part of the answer, fitted on the answerable half of CLAPnq dev and rounded.
# Where one set of short Wikipedia texts had shaped them too much (`behind`, `opening`), they are softened by hand;
# `python -m bench.answers` measures them.
_BIAS = -6.7
_WEIGHTS: Mapping[str, float] = {
    "similarity": 4.0,
    "coverage": 1.0,
    "in_context": 1.5,
    "dense": 2.0,
    "behind": -5.0,
    "cue": 0.7,
    "opening": 0.3,
    "prose": 1.5,
    "length": 0.25,
}
_WEIGHTS_WITHOUT_SIMILARITY = {**_WEIGHTS, "similarity": 0.0, "coverage": 2.0, "in_context": 2.0, "dense": 4.0}

_DANGLING = re.compile(
    r"(?:it|its|they|their|this|these|that|those|such|both|however|but)\b|(?:\w+,? ){0,2}(?:he|she|his|her)\b", re.I
)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LEAST_PROSE = 0.3
_SHARE_OF_BEST = 0.45  # a sentence less than half as likely as the best one adds more noise than answer
_SAME_TERMS = 0.6  # Jaccard index above which two sentences say the same
_LIST_CHARACTERS = 600
_COLONS = (":", "：")


@dataclass(frozen=True, slots=True)
class Pick:
    """Consecutive candidates of one passage, quoted in one piece. `score` is in 0..1."""

    parts: tuple[Candidate, ...]
    score: float

    @property
    def start(self) -> int:
        return self.parts[0].start

    @property
    def end(self) -> int:
        return self.parts[-1].end


def likelihood(evidence: Evidence) -> float:
    """How likely, 0..1, a sentence with this evidence is part of the answer."""
    weights = _WEIGHTS_WITHOUT_SIMILARITY if evidence.similarity is None else _WEIGHTS
    total = _BIAS + sum(weights[name] * (value or 0.0) for name, value in asdict(evidence).items())
    return 0.0 if evidence.prose < _LEAST_PROSE else 1.0 / (1.0 + math.exp(-total))


def choose(found: Sequence[Candidate], scores: Sequence[float], limit: int) -> list[Pick]:
    """The answer's quotes, at most `limit` and what makes them readable, in the order a reader gets them.

    `found` comes as `candidates` made it, with one score each. Passages are ordered by their best sentence, sentences
    as in the document.
    """
    chosen = _best(found, scores, limit)
    picks: dict[int, list[Pick]] = {}
    taken: set[int] = set()
    for at in sorted(_with_support(found, chosen)):
        if at not in taken:
            parts = [at, *_led_list(found, at)]
            taken.update(parts)
            pick = Pick(tuple(found[part] for part in parts), max(scores[part] for part in parts))
            picks.setdefault(found[at].passage.number, []).append(pick)
    groups = sorted(picks.values(), key=lambda group: -max(pick.score for pick in group))
    return [pick for group in groups for pick in group]


def _best(found: Sequence[Candidate], scores: Sequence[float], limit: int) -> list[int]:
    """The likeliest candidates, none saying what another says, none promising a list that the passage does not have."""
    least = _SHARE_OF_BEST * max(scores, default=0.0)
    chosen: list[int] = []
    for at in sorted(range(len(found)), key=lambda at: -scores[at]):
        if len(chosen) >= limit or scores[at] <= 0.0 or scores[at] < least:
            break
        promises = found[at].text.endswith(_COLONS) and not any(_led_list(found, at))
        if not promises and not any(_says_the_same(found[at], found[other]) for other in chosen):
            chosen.append(at)
    return chosen


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    common = len(one.terms & other.terms)
    return common > 0 and common / len(one.terms | other.terms) > _SAME_TERMS


def _with_support(found: Sequence[Candidate], chosen: Collection[int]) -> set[int]:
    """The chosen, the sentence that a dangling "it" points back to, and the header above a row of a table."""
    needed = set(chosen)
    for at in chosen:
        if _DANGLING.match(found[at].text) and _follows(found, at) and not _breaks(found, at):
            needed.add(at - 1)
        if is_table_row(found[at].text):
            header = at
            while _follows(found, header) and is_table_row(found[header - 1].text) and not _breaks(found, header):
                header -= 1
            needed.add(header)
    return needed


def _led_list(found: Sequence[Candidate], at: int) -> Iterator[int]:
    """What a sentence that ends with a colon leads to: the items of a list, or the lines of one block."""
    if not found[at].text.endswith(_COLONS):
        return
    for item in range(at + 1, len(found)):
        is_item = found[item].outer_start < found[item].start
        broken = not _follows(found, item) or (_breaks(found, item) and item > at + 1 and not is_item)
        if broken or found[item].end - found[at].start > _LIST_CHARACTERS:
            return
        yield item


def _follows(found: Sequence[Candidate], at: int) -> bool:
    """Whether only white space lies between the candidate and the one before it."""
    before, here = found[at - 1], found[at]
    text = here.passage.hit.chunk.text
    return at > 0 and before.passage is here.passage and not text[before.end : here.outer_start].strip()


def _breaks(found: Sequence[Candidate], at: int) -> bool:
    """Whether a blank line lies between the candidate and the one before it."""
    between = found[at].passage.hit.chunk.text[found[at - 1].end : found[at].outer_start]
    return _BLANK_LINE.search(between) is not None
