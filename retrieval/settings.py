"""Settings of search."""

from pydantic import Field

from indexes.settings import Section


class SearchSettings(Section):
    """How passages are found and ranked."""

    candidates: int = Field(
        60, ge=10, le=1000, description="Chunks taken from each kind of search before they are fused."
    )
    rrf_k: float = Field(60.0, gt=0, description="Flatness of reciprocal rank fusion; 60 is the published value.")
    dense_weight: float = Field(1.0, ge=0, description="Weight of the embedding search in the fusion.")
    lexical_weight: float = Field(1.0, ge=0, description="Weight of BM25 in the fusion.")
    timeout_s: float = Field(10.0, gt=0, description="When a search is given up.")
