"""How a file is cut into chunks, as the API says it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.wire.base import ReplyModel, RequestModel
from indexes.manifest import Chunking


class StaticChunking(RequestModel):
    """Sizes in tokens of the embedding model. A chunk never exceeds what the model reads, whatever is asked here."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096, description="The most tokens of a chunk.")
    chunk_overlap_tokens: int = Field(ge=0, description="Tokens that neighbours share: at most half of the chunk size.")

    @model_validator(mode="after")
    def _overlap_is_at_most_half(self) -> Self:
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise PydanticCustomError(
                "invalid_value",
                "must have a chunk_overlap_tokens of at most half its max_chunk_size_tokens, here {limit}",
                {"limit": self.max_chunk_size_tokens // 2},
            )
        return self


class AutoStrategy(RequestModel):
    """Chunks as the store's index version makes them."""

    type: Literal["auto"]


class StaticStrategy(RequestModel):
    """Chunks of a given size."""

    type: Literal["static"] = "static"
    static: StaticChunking


class OtherStrategy(ReplyModel):
    """How the file is cut is not known yet."""

    type: Literal["other"] = "other"


ChunkingStrategyIn = Annotated[AutoStrategy | StaticStrategy, Field(discriminator="type")]
ChunkingStrategyOut = Annotated[StaticStrategy | OtherStrategy, Field(discriminator="type")]


def to_chunking(strategy: AutoStrategy | StaticStrategy | None) -> Chunking | None:
    """What was asked for; None leaves it to the store."""
    if isinstance(strategy, StaticStrategy):
        sizes = strategy.static
        return Chunking(max_tokens=sizes.max_chunk_size_tokens, overlap_tokens=sizes.chunk_overlap_tokens)
    return None


def from_chunking(chunking: Chunking | None) -> StaticStrategy | OtherStrategy:
    """What is in force. Sizes below the request's bounds are reported as they are."""
    if chunking is None:
        return OtherStrategy()
    sizes = StaticChunking.model_construct(
        max_chunk_size_tokens=chunking.max_tokens, chunk_overlap_tokens=chunking.overlap_tokens
    )
    return StaticStrategy.model_construct(static=sizes)
