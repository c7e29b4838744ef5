"""Fusion of ranked lists. Pure functions: scores by chunk id, best first, equal ones in the order of the chunk ids.

`fused` is 0..1 and orders the hits of one query: 1 means best in every list that has a weight. It does not compare the
hits of different queries.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from indexes.model import Match, Scores

Fusion = Literal["scores", "rrf"]

# Measured together with `familiarity`, on chunks without context: nDCG@10 of SciFact, CLAPnq, and the mean of XQuAD's
# six languages, to which the model is foreign. Plain stretching .733, .989, .840; with familiarity .733, .988, .949;
# with the spread as well .735, .987, .950; with the lead as well .738, .990, .950. BM25 alone has .685, .943, .950, and
# the model .649, .985, .298.
_TELLING_SPREAD = 0.2
_LEAD = 2.0


def fuse(
    dense: Sequence[Match],
    lexical: Sequence[Match],
    *,
    limit: int,
    fusion: Fusion,
    rrf_k: float,
    dense_weight: float,
    lexical_weight: float,
) -> dict[str, Scores]:
    """As the settings of search want it; `limit` is of `scores` alone, and `rrf_k` of `rrf`."""
    match fusion:
        case "scores":
            return by_score(dense, lexical, limit=limit, dense_weight=dense_weight, lexical_weight=lexical_weight)
        case "rrf":
            return reciprocal_rank(dense, lexical, k=rrf_k, dense_weight=dense_weight, lexical_weight=lexical_weight)


def by_score(
    dense: Sequence[Match], lexical: Sequence[Match], *, limit: int, dense_weight: float, lexical_weight: float
) -> dict[str, Scores]:
    """The weighted mean of scores, each list's stretched to 0..1. Source: Bruch, Gai and Ingber 2023.

    Cosines that differ by less than 0.2 from first to last are stretched as if by 0.2, and what is not among them
    counts as the last: where the model hardly tells chunks apart, the words do. A list whose first is far ahead of its
    second has up to three times its weight: it knows what was asked for.

    Where both lists have as many as were asked for, `limit`, the lexical one was cut off. A shorter one has every chunk
    that shares a term with the query, and is stretched from 0, the score of all others: the last of three chunks that
    name an identifier must not count like one that does not, nor the last of a small store like none.
    """
    cut_off = len(lexical) == len(dense) == limit
    by_meaning = _stretched(dense, spread=_TELLING_SPREAD)
    by_words = _stretched(lexical, lowest=None if cut_off else 0.0)
    least = min(by_meaning.values(), default=0.0)
    dense_weight *= 1 + _LEAD * _lead(by_meaning, least)
    lexical_weight *= 1 + _LEAD * _lead(by_words, 0.0)
    by_meaning |= dict.fromkeys(by_words.keys() - by_meaning.keys(), least)
    return _fused(dense, lexical, (by_meaning, dense_weight), (by_words, lexical_weight))


def reciprocal_rank(
    dense: Sequence[Match], lexical: Sequence[Match], *, k: float, dense_weight: float, lexical_weight: float
) -> dict[str, Scores]:
    """Weighted reciprocal rank fusion. Source: Cormack, Clarke and Büttcher 2009."""
    return _fused(dense, lexical, (_by_rank(dense, k), dense_weight), (_by_rank(lexical, k), lexical_weight))


def _fused(
    dense: Sequence[Match], lexical: Sequence[Match], *weighted: tuple[Mapping[str, float], float]
) -> dict[str, Scores]:
    total = sum(weight for _, weight in weighted)
    fused: dict[str, float] = {}
    for shares, weight in weighted:
        for chunk_id, share in shares.items():
            fused[chunk_id] = fused.get(chunk_id, 0.0) + (weight / total * share if total else 0.0)
    dense_scores = {match.chunk_id: match.score for match in dense}
    lexical_scores = {match.chunk_id: match.score for match in lexical}
    return {
        chunk_id: Scores(min(fused[chunk_id], 1.0), dense_scores.get(chunk_id), lexical_scores.get(chunk_id))
        for chunk_id in sorted(fused, key=lambda chunk_id: (-fused[chunk_id], chunk_id))
    }


def _stretched(matches: Sequence[Match], *, lowest: float | None = None, spread: float = 0.0) -> dict[str, float]:
    """1 for the first, down to 0 for `lowest`, or else the last, if those lie `spread` apart at least."""
    scores = [match.score for match in matches]
    high, low = max(scores, default=0.0), min(scores, default=0.0) if lowest is None else lowest
    width = max(high - low, spread)
    return {match.chunk_id: 1.0 - (high - match.score) / width if width else 1.0 for match in matches}


def _lead(shares: Mapping[str, float], beyond: float) -> float:
    """How far the best is ahead of the next; `beyond` is what those have that are not among them."""
    first, second = sorted((*shares.values(), beyond, beyond), reverse=True)[:2]
    return first - second


def _by_rank(matches: Sequence[Match], k: float) -> dict[str, float]:
    return {match.chunk_id: (k + 1) / (k + rank) for rank, match in enumerate(matches, start=1)}
