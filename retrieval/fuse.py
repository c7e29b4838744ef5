"""Fusion of ranked lists. Pure functions."""

from collections.abc import Sequence

from indexes.model import Match, Scores


def reciprocal_rank(
    dense: Sequence[Match], lexical: Sequence[Match], *, k: float, dense_weight: float, lexical_weight: float
) -> dict[str, Scores]:
    """Weighted reciprocal rank fusion, scaled to 0..1: 1 means first in every list that has a weight.

    Returns scores by chunk id, best first; equal ones in the order of the chunk ids, so that results repeat.
    Source: Cormack, Clarke and Büttcher 2009.
    """
    best = (dense_weight + lexical_weight) / (k + 1)
    fused: dict[str, float] = {}
    for matches, weight in ((dense, dense_weight), (lexical, lexical_weight)):
        for rank, match in enumerate(matches, start=1):
            fused[match.chunk_id] = fused.get(match.chunk_id, 0.0) + weight / (k + rank)
    dense_scores = {match.chunk_id: match.score for match in dense}
    lexical_scores = {match.chunk_id: match.score for match in lexical}
    order = sorted(fused, key=lambda chunk_id: (-fused[chunk_id], chunk_id))
    return {
        chunk_id: Scores(
            fused=fused[chunk_id] / best if best else 0.0,
            dense=dense_scores.get(chunk_id),
            lexical=lexical_scores.get(chunk_id),
        )
        for chunk_id in order
    }
