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
