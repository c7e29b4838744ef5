"""Comparisons: two index versions side by side, the verdict of the quality gate, and the figures behind it."""

from typing import Annotated, Literal

from pydantic import Field

from api.wire.base import Id, Listed, ReplyModel, RequestModel
from api.wire.errors import ErrorReply
from api.wire.search import Query
from evaluation.thresholds import Thresholds

Verdict = Literal["passed", "insufficient", "failed"]
_VERDICT = "`insufficient`: nothing speaks against the candidate, and too little for it. It does not pass."


class CompareRequest(RequestModel):
    """Which two versions to put the same questions to, and which questions."""

    candidate: Id = Field(description="The version to judge; any but one that is building, failed or deleted.")
    baseline: Id | None = Field(None, description="The version to judge it by. Left out: the live one.")
    golden_set: Id | None = Field(None, description="Id or name of a golden set. Left out: the one uploaded last.")
    queries: Annotated[list[Query], Field(max_length=1000)] = Field(
        default_factory=list,
        description="Questions of which nothing is known. Left out: those that were asked of the store lately.",
    )


class ReportLine(ReplyModel):
    """One measure over all queries. `estimate` is what is held against `limit`."""

    measure: str = Field(description="What was measured.")
    queries: int = Field(description="On how many queries.")
    live: float | None = Field(None, description="Mean of the baseline.")
    candidate: float | None = Field(None, description="Mean of the candidate.")
    estimate: float | None = Field(None, description="The difference, the ratio or the measure itself.")
    low: float | None = Field(None, description="Low end of its confidence interval.")
    high: float | None = Field(None, description="High end.")
    probability_of_loss: float | None = Field(None, description="How likely the candidate is the worse one, 0..1.")
    limit: float | None = Field(None, description="What the gate asks for.")
    verdict: Verdict | None = Field(None, description="Null where the line is shown and not judged.")
    reason: str | None = Field(None, description="What is wrong and what to do; null where it passed.")


class Measured(ReplyModel):
    """How well one version answered one judged query, each 0..1."""

    ndcg_10: float
    recall_10: float
    reciprocal_rank_10: float
    dense_ndcg_10: float = Field(description="Of the embedding search alone.")


class QueryChange(ReplyModel):
    """One query in both versions."""

    id: str = Field(description="As in the golden set; `recorded-…` for others.")
    query: str
    live: Measured | None = Field(None, description="Null where nothing is known to be relevant.")
    candidate: Measured | None = None
    overlap_10: float = Field(description="Part of the first ten that both found, 0..1.")
    dense_overlap_10: float = Field(description="The same of the embedding search alone.")
    rank_biased_overlap: float = Field(description="Agreement of the rankings, the first places counting most, 0..1.")


class Trials(ReplyModel):
    """How the candidate did on live queries, beside the baseline (shadow) or in its place (canary)."""

    shadows: int = Field(description="Queries that both ran.")
    canaries: int = Field(description="Queries that it answered.")
    mean_overlap: float | None = None
    mean_rank_biased_overlap: float | None = None
    live_ms: float | None = Field(None, description="Mean milliseconds of the baseline's search in the index.")
    candidate_ms: float | None = Field(None, description="The same of the candidate.")


class Report(ReplyModel):
    """What the gate says of the candidate, in all and query by query."""

    verdict: Verdict = Field(description=_VERDICT)
    reasons: list[str] = Field(description="Why it did not pass, what failed first.")
    remarks: list[str] = Field(description="What a reader of the verdict should know.")
    lines: list[ReportLine] = Field(description="The measures.")
    worse: list[QueryChange] = Field(description="Judged queries that lost, the greatest loss first.")
    better: list[QueryChange] = Field(description="Judged queries that won, the greatest gain first.")
    unjudged: list[QueryChange] = Field(description="Queries of which nothing is known, the most changed first.")
    trials: Trials
    thresholds: Thresholds = Field(description="What the store asked for at the time.")


class ComparisonSummary(Listed):
    """A comparison of two versions, without its report."""

    id: str = Field(description="Identifier, `cmp_…`.")
    object: Literal["vector_store.comparison"] = "vector_store.comparison"
    vector_store_id: str = Field(description="The store.")
    baseline: str = Field(description="The version it was judged by.")
    candidate: str = Field(description="The version that was judged.")
    golden_set_id: str | None = Field(description="The golden set, `gold_…`; null where there was none.")
    verdict: Verdict = Field(description=_VERDICT)
    created_at: int = Field(description="When, Unix seconds.")


class VersionComparison(Report, ComparisonSummary):
    """A comparison of two versions with its report; it never changes."""


class GateReport(Report):
    """The report that a refusal is based on."""

    id: str = Field(description="Identifier of the comparison, `cmp_…`.")


class GateRefusal(ErrorReply):
    """The quality gate does not let a version pass (`gate_failed`)."""

    report: GateReport = Field(description="What the gate saw.")
