"""Ways to fuse two ranked lists of matches, to be compared."""

from collections.abc import Callable, Sequence
from functools import partial

from indexes.model import Match, Scores
from retrieval import fuse

Fusion = Callable[[Sequence[Match], Sequence[Match]], list[str]]
"""Dense and lexical matches to chunk ids, best first."""


def by_rank(dense_weight: float, lexical_weight: float, k: float) -> Fusion:
    """Weighted reciprocal rank fusion."""
    return _ids(partial(fuse.reciprocal_rank, k=k, dense_weight=dense_weight, lexical_weight=lexical_weight))


def by_score(dense_weight: float, lexical_weight: float, candidates: int) -> Fusion:
    """Stretched scores, as the platform fuses them by default, but for how well the model knows the language.

    For lists of at most so many `candidates`.
    """
    return _ids(partial(fuse.by_score, limit=candidates, dense_weight=dense_weight, lexical_weight=lexical_weight))


def by_plain_score(dense_share: float) -> Fusion:
    """A weighted sum of scores, each list's stretched to 0..1 and no more (Bruch, Gai and Ingber 2023)."""

    def fused(dense: Sequence[Match], lexical: Sequence[Match]) -> list[str]:
        total: dict[str, float] = {}
        for matches, share in ((dense, dense_share), (lexical, 1 - dense_share)):
            for match, score in zip(matches, _stretched(matches), strict=True):
                total[match.chunk_id] = total.get(match.chunk_id, 0.0) + share * score
        return sorted(total, key=lambda chunk_id: (-total[chunk_id], chunk_id))

    return fused


def _ids(fused: Callable[[Sequence[Match], Sequence[Match]], dict[str, Scores]]) -> Fusion:
    return lambda dense, lexical: list(fused(dense, lexical))


def _stretched(matches: Sequence[Match]) -> list[float]:
    scores = [match.score for match in matches]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]
