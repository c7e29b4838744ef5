"""The contract of embedding models, and of the tokenizers that go with them."""

from collections.abc import Sequence
from typing import Protocol

from indexes.manifest import EmbeddingSpec
from indexes.model import Vector


class Tokenizer(Protocol):
    """How an embedding model counts text."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each token in code points of `text`, special tokens left out."""


class Embedder(Protocol):
    """One embedding model, loaded. Calls block and are safe from any thread."""

    @property
    def spec(self) -> EmbeddingSpec:
        """What the model is."""

    @property
    def tokenizer(self) -> Tokenizer:
        """How it counts text."""

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        """Shape (len(texts), dimension), rows of length 1, in the order of `texts`."""

    def embed_queries(self, texts: Sequence[str]) -> Vector:
        """As `embed_documents`, with the query prefix."""


class SharedEmbedder(Protocol):
    """One embedding model that the tasks of an event loop share, in this process or in another."""

    @property
    def spec(self) -> EmbeddingSpec:
        """What the model is."""

    @property
    def tokenizer(self) -> Tokenizer:
        """How it counts text."""

    async def queries(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_queries`, before any document that waits. Raises Overloaded where the queue is full."""

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_documents`. Waits for room where the queue is full."""

    async def close(self) -> None:
        """Let go of the model; what waits fails with Unavailable."""
