"""What is asked of a store."""

from dataclasses import dataclass

from indexes.filters import Filter


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for in one store. `queries` are one question, possibly put in several ways.

    `dense_weight` and `lexical_weight` override the settings; a weight of 0 leaves that search out. Hits whose fused
    score is below `score_threshold` (0..1) are left out. `index_version` and `snapshot` ask another version than the
    live one, or a point in time. Queries of the same `sticky_key` are answered by the same version while a candidate
    takes a share of the traffic; without one, equal questions are.

    `within_s` is the time there is: what cannot be done in it is left out, and the results say so. `rerank` lets the
    reranker put the best hits in order. `diversity` (0..1) puts hits that say the same further down, the more the
    higher; `max_per_document` leaves out further chunks of one document. `neighbours` is how many chunks before and
    after each hit are joined to it. `rewrite` searches other forms of the question too.
    """

    queries: tuple[str, ...]
    limit: int
    where: Filter | None = None
    score_threshold: float = 0.0
    dense_weight: float | None = None
    lexical_weight: float | None = None
    index_version: str | None = None
    snapshot: str | None = None
    sticky_key: str | None = None
    within_s: float | None = None
    rerank: bool = True
    diversity: float = 0.0
    max_per_document: int | None = None
    neighbours: int = 0
    rewrite: bool = False
