"""What one query shows of a live version and a candidate: figures from two rankings."""

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.evidence import Comparison, Results
from evaluation.measures import Grades, ndcg, recall, reciprocal_rank
from evaluation.rankings import overlap, rank_biased_overlap

K = 10
"""How many places count: what a reader, or a prompt, takes from a search."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How well one version answered one judged query, each 0..1; `dense_ndcg_10` is of the embedding search alone."""

    ndcg_10: float
    recall_10: float
    reciprocal_rank_10: float
    dense_ndcg_10: float


@dataclass(frozen=True, slots=True)
class Change:
    """One query in both versions.

    `live` and `candidate` are None where nothing is known to be relevant. `overlap_10` and `rank_biased_overlap` are of
    the whole search, `dense_overlap_10` is of the embedding search alone.
    """

    id: str
    query: str
    live: Measured | None
    candidate: Measured | None
    overlap_10: float
    dense_overlap_10: float
    rank_biased_overlap: float

    @property
    def gain(self) -> float | None:
        """nDCG@10 won, below 0 lost; None where nothing is judged."""
        return self.candidate.ndcg_10 - self.live.ndcg_10 if self.live and self.candidate else None

    def to_json(self) -> dict[str, Any]:
        """As JSON data, nested as the fields are."""
        return asdict(self)


def change(query: Comparison, *, same_chunks: bool) -> Change:
    """The figures of one query.

    It is judged by its chunks where both versions have the same ones and the set names any, else by its documents,
    whose rank is that of their best chunk. Rankings are compared by chunk where both versions have the same ones:
    a store of few long documents finds all of them for any query.
    """
    judged_by_chunk = same_chunks and query.grades(by_chunk=True) is not None
    grades = query.grades(by_chunk=judged_by_chunk)
    live, candidate = query.live.ranking(by_chunk=same_chunks), query.candidate.ranking(by_chunk=same_chunks)
    dense = query.live.dense_ranking(by_chunk=same_chunks), query.candidate.dense_ranking(by_chunk=same_chunks)
    return Change(
        id=query.id,
        query=query.text,
        live=_measured(query.live, grades, by_chunk=judged_by_chunk) if grades else None,
        candidate=_measured(query.candidate, grades, by_chunk=judged_by_chunk) if grades else None,
        overlap_10=overlap(live, candidate, K),
        dense_overlap_10=overlap(*dense, K),
        rank_biased_overlap=rank_biased_overlap(live, candidate),
    )


def _measured(results: Results, grades: Grades, *, by_chunk: bool) -> Measured:
    ranking, dense = results.ranking(by_chunk=by_chunk), results.dense_ranking(by_chunk=by_chunk)
    return Measured(
        ndcg_10=ndcg(ranking, grades, K),
        recall_10=recall(ranking, grades, K),
        reciprocal_rank_10=reciprocal_rank(ranking, grades, K),
        dense_ndcg_10=ndcg(dense, grades, K),
    )
