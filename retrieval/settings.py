"""Settings of search."""

from pydantic import Field

from indexes.settings import Section
from retrieval.fuse import Fusion


class SearchSettings(Section):
    """How passages are found and ranked."""

    candidates: int = Field(
        60, ge=10, le=1000, description="Chunks taken from each kind of search before they are fused."
    )
    # Measured by bench/quality.py: fused by scores of equal weight, hybrid search beats both of its halves on SciFact
    # (nDCG@10 .737 against .690 and .656) and CLAPnq (.991 against .943 and .986). Reciprocal ranks of equal weight
    # have .720 and .984 at best, and lose up to .21 to BM25 in languages that the model does not know.
    fusion: Fusion = Field(
        "scores", description="How the two searches are fused: by `scores`, or by reciprocal ranks, `rrf`."
    )
    rrf_k: float = Field(
        5.0, gt=0, description="Flatness of reciprocal rank fusion: the lower, the more first places count."
    )
    dense_weight: float = Field(1.0, ge=0, description="Weight of the embedding search in the fusion.")
    lexical_weight: float = Field(1.0, ge=0, description="Weight of BM25 in the fusion.")
    recorded_queries: int = Field(
        200,
        ge=0,
        le=10_000,
        description="How many of a store's newest questions are kept, as they were asked, to compare index versions "
        "by. 0 keeps none.",
    )
    recall_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the approximate searches that are done again exactly, to watch the recall of each index "
        "version. The figure is in `observed_recall` of the version.",
    )
    timeout_s: float = Field(10.0, gt=0, description="When a search is given up.")
