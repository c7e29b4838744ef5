"""An embedding model with no weights: feature hashing of words (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206).

Texts that share words are near; nothing else is known to it. For tests and for trying the platform without a model.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from indexes.manifest import EmbeddingSpec
from indexes.model import Vector

_WORD = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Words and single marks."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each word or mark in code points of `text`."""
        return [match.span() for match in _WORD.finditer(text)]


class HashingEmbedder:
    """Counts of words, each in the place and with the sign that its hash gives. Deterministic on every machine."""

    def __init__(self, dimension: int = 256, max_tokens: int = 256) -> None:
        self.spec = EmbeddingSpec(
            name=f"hashing-{dimension}",
            revision="1",
            weights=hashlib.sha256(b"").hexdigest(),
            dimension=dimension,
            max_tokens=max_tokens,
            pooling="sum",
        )
        self.tokenizer = WordTokenizer()

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        """Shape (len(texts), dimension), rows of length 1, in the order of `texts`."""
        vectors = np.zeros((len(texts), self.spec.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.casefold())[: self.spec.max_tokens]:
                self._count(word, row)
            if not row.any():  # no words, or words that cancel out
                row[0] = 1.0
            row /= np.linalg.norm(row)
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vector:
        """As `embed_documents`."""
        return self.embed_documents(texts)

    def _count(self, word: str, row: Vector) -> None:
        code = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        row[(code >> 1) % self.spec.dimension] += 1.0 if code & 1 else -1.0
