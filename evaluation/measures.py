"""How good rankings are, from judged documents. Pure functions.

As trec_eval computes them, which BEIR and MTEB report: so the figures can be held beside published ones.
Sources: nDCG, Järvelin and Kekäläinen 2002; the measures and their names, trec_eval (Buckley, NIST).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from statistics import fmean

Grades = Mapping[str, float]
"""What is known of one query: document id to relevance. 0, below, or not named, is not relevant."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the queries that have a relevant document, each 0..1."""

    queries: int
    ndcg_10: float
    recall_10: float
    recall_100: float
    mrr_10: float


def quality(rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Grades]) -> Quality:
    """The measures of a run: document ids by query id, best first.

    A judged query that the run lacks counts as one that found nothing. Raises ValueError where nothing is judged
    relevant.
    """
    judged = {query: grades for query, grades in judgements.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        raise ValueError("No query has a relevant document: there is nothing to measure.")
    pairs = [(rankings.get(query, ()), grades) for query, grades in judged.items()]
    return Quality(
        queries=len(pairs),
        ndcg_10=fmean(ndcg(ranking, grades, 10) for ranking, grades in pairs),
        recall_10=fmean(recall(ranking, grades, 10) for ranking, grades in pairs),
        recall_100=fmean(recall(ranking, grades, 100) for ranking, grades in pairs),
        mrr_10=fmean(reciprocal_rank(ranking, grades, 10) for ranking, grades in pairs),
    )


def ndcg(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """Normalised discounted cumulative gain of the first `k`: gain is the grade, discount log2(rank + 1).

    1 for an ideal order of all judged documents; 0 where none is relevant.
    """
    ideal = _dcg(sorted(grades.values(), reverse=True)[:k])
    return _dcg([grades.get(document, 0.0) for document in _distinct(ranking)[:k]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """Share of the relevant documents that are among the first `k`; 0 where none is relevant."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(_distinct(ranking)[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """1 / rank of the first relevant document; 0 where none is among the first `k`. Its mean is MRR."""
    ranks = (rank for rank, document in enumerate(_distinct(ranking)[:k], 1) if grades.get(document, 0.0) > 0)
    return 1 / next(ranks, float("inf"))


def _dcg(gains: Iterable[float]) -> float:
    return sum(max(0.0, gain) / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _distinct(ranking: Sequence[str]) -> list[str]:
    """Each document at its first place: a ranking of passages is one of documents by their best passage.

    (MaxP: Dai and Callan 2019.)
    """
    return list(dict.fromkeys(ranking))
