"""Search: ranked chunks of one store."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.wire.base import STORABLE, AttributesOut, Id, OrdersScore, ReplyModel, RequestModel
from api.wire.filters import Filters
from api.wire.vector_store_files import TextPart
from indexes.model import Hit
from retrieval.search import Results

Query = Annotated[str, Field(min_length=1, max_length=32_768), STORABLE]


PinnedVersion = Annotated[
    Id | None,
    Field(
        description="Search this index version, `ixv_…`, instead of the live one. It must be ready, live or retired."
    ),
]
PinnedSnapshot = Annotated[
    Id | None, Field(description="Search the documents that this snapshot names, by its id or name.")
]


class HybridWeights(RequestModel):
    """How much each kind of search counts when their rankings are fused. At least one is above 0."""

    embedding_weight: float = Field(1.0, ge=0, le=100, description="Weight of the search by meaning (dense).")
    text_weight: float = Field(1.0, ge=0, le=100, description="Weight of the search by words (BM25).")

    @model_validator(mode="after")
    def _one_counts(self) -> Self:
        if self.embedding_weight == 0 and self.text_weight == 0:
            raise PydanticCustomError("invalid_value", "must have a weight above 0")
        return self


class RankingOptions(RequestModel):
    """How hits are ranked and cut off."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = Field(
        "auto", description="`none` leaves the reranker out; the others use the one that is configured."
    )
    score_threshold: float | None = Field(None, ge=0, le=1, description="Leave out hits that score below.")
    hybrid_search: HybridWeights | None = Field(None, description="Weights of the two searches; left out: alike.")


class SearchRequest(RequestModel):
    """What to look for."""

    query: Query | Annotated[list[Query], Field(min_length=1, max_length=16)] = Field(
        description="The question, or several whose results are fused."
    )
    max_num_results: int = Field(10, ge=1, le=50, description="The most hits to return.")
    filters: Filters | None = Field(None, description="Which documents may be found, by their attributes.")
    ranking_options: RankingOptions = Field(default_factory=RankingOptions, description="Ranking and cut-off.")
    rewrite_query: bool = Field(
        False, description="Search other forms of the query too. `search_query` says what was searched."
    )
    max_per_document: int | None = Field(None, ge=1, le=50, description="The most hits of one document.")
    diversity: float = Field(
        0.0, ge=0, le=1, description="How far hits that say the same are put further down: 0 not at all, 1 most."
    )
    neighbours: int = Field(
        0, ge=0, le=5, description="How many chunks before and after each hit are joined to its text, for context."
    )
    deadline_ms: int | None = Field(
        None,
        ge=1,
        le=600_000,
        description="When an answer is needed. What cannot be done by then is left out, and `partial` says so; where "
        "nothing was found out by then the status is 503.",
    )
    explain: bool = Field(False, description="Say in `explain` what was done and what each stage cost.")
    index_version: PinnedVersion = None
    snapshot: PinnedSnapshot = None

    @property
    def queries(self) -> tuple[str, ...]:
        """The query or queries, always as several."""
        return (self.query,) if isinstance(self.query, str) else tuple(self.query)


class HitScores(ReplyModel):
    """How a hit came to its place; null where that step did not see it."""

    dense: float | None = Field(None, description="Cosine of query and chunk, -1..1.")
    lexical: float | None = Field(None, description="BM25, 0 and up.")
    fused: float = Field(description="Both together, 0..1.")
    rerank: float | None = Field(None, description="Score of the reranker.")


class HitExtras(ReplyModel):
    """Where a hit lies in its document."""

    chunk_id: str = Field(description="Id of the chunk.")
    key: str = Field(description="Path-like name of the document in the store.")
    page: int | None = Field(description="Page on which the chunk begins, from 1; null where a format has no pages.")
    start: int = Field(description="Where the chunk begins in the canonical text, in code points.")
    end: int = Field(description="Where it ends.")
    section: list[str] = Field(description="Headings above the chunk, outermost first.")
    orders: OrdersScore = None
    scores: HitScores = Field(description="Scores by kind.")
    index_version: str = Field(description="The index version that found it, `ixv_…`.")


class SearchHit(HitExtras):
    """A chunk that answers the query."""

    file_id: str = Field(description="Id of its file.")
    filename: str = Field(description="Name of its file.")
    score: float = Field(
        description="0..1, of the reranker if there is one, else `fused`. Hits are ordered by it, but for `diversity`."
    )
    attributes: AttributesOut = Field(description="Attributes of the document.")
    content: list[TextPart] = Field(description="The text of the chunk, as one part.")

    @classmethod
    def from_hit(cls, hit: Hit) -> Self:
        """A hit on the wire."""
        return cls(
            **dict(hit_extras(hit)),
            file_id=hit.file_id,
            filename=hit.filename,
            score=score_of(hit),
            attributes=dict(hit.attributes),
            content=[TextPart(text=hit.chunk.text)],
        )


class SearchStage(ReplyModel):
    """One step of a search. Steps may run beside each other, so their times do not add up."""

    name: str = Field(description="`embed`, `dense`, `lexical`, `fuse`, `read`, `rerank` and others.")
    ms: float = Field(description="How long it took, in milliseconds.")
    detail: str = Field(description="What was done: the model, the plan of the index, how many chunks.")


class SearchExplanation(ReplyModel):
    """How a search was done."""

    index_version: str = Field(description="The index version that answered.")
    stages: list[SearchStage] = Field(description="What was done, in the order in which it ended.")


class SearchPage(ReplyModel):
    """The hits of one search, best first."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str] = Field(description="The queries that were searched.")
    data: list[SearchHit] = Field(description="The hits, best first.")
    has_more: bool = Field(False, description="Always false: ask for more with `max_num_results`.")
    next_page: str | None = Field(None, description="Always null.")
    partial: bool = Field(False, description="Whether something was left out; `problems` says what and why.")
    problems: list[str] = Field(default_factory=list, description="What went wrong and was done without.")
    explain: SearchExplanation | None = Field(None, description="How it was done, if that was asked for.")

    @classmethod
    def of(cls, results: Results, *, explain: bool) -> Self:
        """The page that answers a search request."""
        how = results.explanation
        stages = [SearchStage(name=one.name, ms=round(one.ms, 3), detail=one.detail) for one in how.stages]
        return cls(
            search_query=list(results.queries),
            data=[SearchHit.from_hit(hit) for hit in results.hits],
            partial=bool(how.problems),
            problems=how.problems,
            explain=SearchExplanation(index_version=results.index_version, stages=stages) if explain else None,
        )


def score_of(hit: Hit) -> float:
    """The one score that clients see: what ordered the hits, 0..1."""
    return hit.scores.final


def hit_extras(hit: Hit) -> HitExtras:
    """What rides on official objects that describe a hit."""
    span, scores = hit.chunk.span, hit.scores
    return HitExtras(
        chunk_id=hit.chunk.id,
        key=hit.key,
        page=span.page_start,
        start=span.start,
        end=span.end,
        section=list(span.section),
        orders=hit.chunk.orders,
        scores=HitScores(dense=scores.dense, lexical=scores.lexical, fused=scores.fused, rerank=scores.rerank),
        index_version=hit.index_version,
    )
