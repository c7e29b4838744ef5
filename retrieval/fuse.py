"""Fusion of ranked lists. Pure functions: scores by chunk id, best first, equal ones in the order of the chunk ids.

`fused` is 0..1 and orders the hits of one query: 1 means best in every list that has a weight, and what a list has not
found gets nothing from it. It does not compare the hits of different queries.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from indexes.model import Match, Scores

Fusion = Literal["scores", "rrf"]


def fuse(
    dense: Sequence[Match],
    lexical: Sequence[Match],
    *,
    fusion: Fusion,
    rrf_k: float,
    dense_weight: float,
    lexical_weight: float,
) -> dict[str, Scores]:
    """As the settings of search want it; `rrf_k` is of `rrf` alone."""
    match fusion:
        case "scores":
            return by_score(dense, lexical, dense_weight=dense_weight, lexical_weight=lexical_weight)
        case "rrf":
            return reciprocal_rank(dense, lexical, k=rrf_k, dense_weight=dense_weight, lexical_weight=lexical_weight)


def by_score(
    dense: Sequence[Match], lexical: Sequence[Match], *, dense_weight: float, lexical_weight: float
) -> dict[str, Scores]:
    """The weighted mean of scores, each list's stretched to 0..1. Source: Bruch, Gai and Ingber 2023.

    A lexical list as long as the dense one was cut off. A shorter one has every chunk that shares a term with the
    query, and is stretched from 0, the score of all others: the last of three chunks that name an identifier must not
    count like one that does not.
    """
    cut_off = len(lexical) == len(dense)
    of_dense, of_lexical = _stretched(dense), _stretched(lexical, lowest=None if cut_off else 0.0)
    return _fused(dense, lexical, (of_dense, dense_weight), (of_lexical, lexical_weight))


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


def _stretched(matches: Sequence[Match], lowest: float | None = None) -> dict[str, float]:
    """From 0 for `lowest`, or else the last, to 1 for the first. All are 1 where they are equal."""
    scores = [match.score for match in matches]
    high, low = max(scores, default=0.0), min(scores, default=0.0) if lowest is None else lowest
    return {match.chunk_id: (match.score - low) / (high - low) if high > low else 1.0 for match in matches}


def _by_rank(matches: Sequence[Match], k: float) -> dict[str, float]:
    return {match.chunk_id: (k + 1) / (k + rank) for rank, match in enumerate(matches, start=1)}
