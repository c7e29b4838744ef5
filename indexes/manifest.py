"""What built an index version: immutable, hashed, compared on every opening (I6)."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from indexes.errors import InvalidRequest

_TERMS_AND_PAYLOAD_BYTES = 1_500


@dataclass(frozen=True, slots=True)
class Chunking:
    """How text is cut. Both in tokens; never more than the embedding model reads.

    `tokenizer` names the embedding model whose tokens are counted; None is the version's own. A version that takes its
    chunks over from another one keeps counting as that one does, or no chunk would be the same.
    """

    max_tokens: int
    overlap_tokens: int
    tokenizer: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """One embedding model as it is used: enough to make the same vectors again.

    `weights` is the SHA-256 of the weights file. Prefixes are put before the text of queries and documents.
    """

    name: str
    revision: str
    weights: str
    dimension: int
    max_tokens: int
    pooling: str = "mean"
    normalised: bool = True
    query_prefix: str = ""
    document_prefix: str = ""


@dataclass(frozen=True, slots=True)
class LexicalSpec:
    """BM25 as it is used. `average_length` is the assumed length of a chunk in terms.

    `analysis` names how text becomes terms (`indexes/lexical.py`); None is the first way. The second takes several
    languages, joined by `+`.
    """

    language: str = "english"
    k: float = 1.2
    b: float = 0.75
    average_length: float = 128.0
    analysis: str | None = None


@dataclass(frozen=True, slots=True)
class AnnSpec:
    """The graph of the approximate dense search (HNSW: Malkov and Yashunin 2016)."""

    m: int = 16
    ef_construct: int = 128


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that decides which points an index version holds and how they are compared.

    `context` names what is put before the text of a chunk (`indexes/context.py`); None is nothing.
    """

    parser: str
    chunker: str
    chunking: Chunking
    embedding: EmbeddingSpec
    lexical: LexicalSpec = field(default_factory=LexicalSpec)
    ann: AnnSpec = field(default_factory=AnnSpec)
    metric: str = "cosine"
    context: str | None = None

    @property
    def cut(self) -> str:
        """What decides the chunks of a text: equal in two versions exactly when they have the same chunks."""
        chunking = self.chunking
        counted_by = chunking.tokenizer or self.embedding.name
        return f"{self.chunker}/{chunking.max_tokens}/{chunking.overlap_tokens}/{counted_by}"

    @property
    def bytes_per_chunk(self) -> int:
        """About what one chunk takes in an index: its vector, its links in the graph, its terms and payload."""
        return 4 * self.embedding.dimension + 8 * self.ann.m + _TERMS_AND_PAYLOAD_BYTES

    def to_json(self) -> dict[str, Any]:
        """As JSON data, nested as the fields are. What is None is left out, so that a new field changes no old hash."""
        return asdict(self, dict_factory=lambda items: {name: value for name, value in items if value is not None})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Manifest":
        """The inverse of `to_json`. Raises InvalidRequest where a part is missing or unknown."""
        try:
            parts = {
                "chunking": Chunking(**data["chunking"]),
                "embedding": EmbeddingSpec(**data["embedding"]),
                "lexical": LexicalSpec(**data["lexical"]),
                "ann": AnnSpec(**data["ann"]),
            }
            return cls(**{**data, **parts})
        except (KeyError, TypeError) as error:
            raise InvalidRequest(f"This manifest cannot be read: {error}.", param="manifest") from error

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON: equal exactly when the manifests are."""
        return _hash(self)


@lru_cache(maxsize=1024)  # asked on every search
def _hash(manifest: Manifest) -> str:
    canonical = json.dumps(manifest.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
