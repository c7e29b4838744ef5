"""What built an index version: immutable, hashed, compared on every opening (I6)."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from indexes.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Chunking:
    """How text is cut. Both in tokens of the embedding model; never more than the model reads."""

    max_tokens: int
    overlap_tokens: int


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
    """BM25 as it is used. `average_length` is the assumed length of a chunk in terms."""

    language: str = "english"
    k: float = 1.2
    b: float = 0.75
    average_length: float = 128.0


@dataclass(frozen=True, slots=True)
class AnnSpec:
    """The graph of the approximate dense search (HNSW: Malkov and Yashunin 2016)."""

    m: int = 16
    ef_construct: int = 128


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that decides which points an index version holds and how they are compared."""

    parser: str
    chunker: str
    chunking: Chunking
    embedding: EmbeddingSpec
    lexical: LexicalSpec = field(default_factory=LexicalSpec)
    ann: AnnSpec = field(default_factory=AnnSpec)
    metric: str = "cosine"

    def to_json(self) -> dict[str, Any]:
        """As JSON data, nested as the fields are."""
        return asdict(self)

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
