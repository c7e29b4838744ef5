"""How far two rankings, or the scores of two runs, differ where nobody judged the documents. Pure functions.

They tell "different" from "the same", never "better" from "worse".
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

RBO_P = 0.9
"""How likely a reader is to look one place further: at 0.9 the first ten places have 86 % of the weight."""


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """How scores moved between two runs, as medians over the queries that found something in both.

    `top` is a query's best score, `shift` what the candidate's is above the live one's, and `spread` how far the best
    score lies above the last: a model that tells documents apart badly has little of it. Scores of two models are on
    two scales, so a shift is no loss; it says that thresholds set on scores must be set again.
    """

    queries: int
    live_top: float
    candidate_top: float
    shift: float
    live_spread: float
    candidate_spread: float


def overlap(first: Sequence[Hashable], second: Sequence[Hashable], k: int) -> float:
    """Share of the first `k` that both rankings hold, 0..1, of the longer one where neither has `k`.

    Repeated ids count once. Two empty rankings agree: 1.
    """
    one, other = set(distinct(first)[:k]), set(distinct(second)[:k])
    most = max(len(one), len(other))
    return len(one & other) / most if most else 1.0


def rank_biased_overlap(first: Sequence[Hashable], second: Sequence[Hashable], p: float = RBO_P) -> float:
    """Agreement of two rankings of any lengths, 0..1, in which higher places weigh more: RBO_ext.

    1 for equal rankings. What lies below the end of the lists is taken to agree as what was seen does. Repeated ids
    count at their first place. An empty ranking agrees with nothing but another.
    Source: Webber, Moffat and Zobel 2010, "A similarity measure for indefinite rankings", equation 32.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"p of rank-biased overlap must lie between 0 and 1, and is {p}.")
    short, long = sorted((distinct(first), distinct(second)), key=len)
    if not short:
        return 0.0 if long else 1.0
    end, common = len(short), _common(short, long)
    # Past its end the short list is taken to go on agreeing as it did up to there.
    assumed = [common[end - 1] * max(0, depth - end) / end for depth in range(1, len(long) + 1)]
    agreement = [(found + more) / depth for depth, (found, more) in enumerate(zip(common, assumed, strict=True), 1)]
    seen = (1 - p) / p * sum(share * p**depth for depth, share in enumerate(agreement, 1))
    return min(1.0, seen + agreement[-1] * p ** len(long))


def score_shift(live: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]) -> ScoreShift | None:
    """The shift between the scores of two runs, each query's best first; None where no query found something in both.

    Raises ValueError where the runs have different numbers of queries.
    """
    pairs = [(before, after) for before, after in zip(live, candidate, strict=True) if before and after]
    if not pairs:
        return None
    return ScoreShift(
        queries=len(pairs),
        live_top=median(before[0] for before, _ in pairs),
        candidate_top=median(after[0] for _, after in pairs),
        shift=median(after[0] - before[0] for before, after in pairs),
        live_spread=median(before[0] - before[-1] for before, _ in pairs),
        candidate_spread=median(after[0] - after[-1] for _, after in pairs),
    )


def distinct(ranking: Iterable[Hashable]) -> list[Hashable]:
    """Each id at its first place."""
    return list(dict.fromkeys(ranking))


def _common(short: list[Hashable], long: list[Hashable]) -> list[int]:
    """How many ids the two have in common down to each depth of the longer one."""
    common: list[int] = []
    above: set[Hashable] = set()
    below: set[Hashable] = set()
    for depth, item in enumerate(long):
        below.add(item)
        if depth < len(short):
            above.add(short[depth])
        common.append(len(above & below))
    return common
