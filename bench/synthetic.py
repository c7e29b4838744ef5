"""Made-up documents whose vectors lie in clusters, and whose words are as unevenly common as those of a language."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.home import Document
from indexes.model import Span, Vector

_CLUSTERS = 200
_SPREAD = 0.6  # length of what is added to a cluster's centre, which has length 1: neighbours have cosines around 0.7
_CHUNKS = 10  # of a document
_CHUNK_WORDS = 120
_QUERY_WORDS = 6
_VOCABULARY = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A query near a stored chunk, in some of its words. `vector` has shape (dimension,) and length 1."""

    text: str
    vector: Vector


class Synthetic:
    """Documents and questions from one seed: the same on every run."""

    def __init__(self, dimension: int, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._centres = _unit(self._random.standard_normal((_CLUSTERS, dimension)))
        shares = 1 / np.arange(1, _VOCABULARY + 1)  # Zipf
        self._shares = shares / shares.sum()

    def documents(self, chunks: int) -> Iterator[Document]:
        """As many as make so many chunks."""
        for number in range(chunks // _CHUNKS):
            words = self._words(_CHUNKS * _CHUNK_WORDS)
            parts = [" ".join(words[first : first + _CHUNK_WORDS]) for first in range(0, len(words), _CHUNK_WORDS)]
            ends = np.cumsum([len(part) + 1 for part in parts]) - 1
            spans = [
                Span(int(end) - len(part), int(end), at, 0)
                for at, (part, end) in enumerate(zip(parts, ends, strict=True))
            ]
            yield Document(
                str(number), " ".join(parts), spans, self._near(self._random.integers(_CLUSTERS, size=_CHUNKS))
            )

    def questions(self, count: int) -> list[Question]:
        """As unlike each other as the documents are."""
        vectors = self._near(self._random.integers(_CLUSTERS, size=count))
        return [Question(" ".join(self._words(_QUERY_WORDS)), vector) for vector in vectors]

    def _near(self, clusters: NDArray[np.int64]) -> Vector:
        centres = self._centres[clusters]
        return _unit(centres + _SPREAD * _unit(self._random.standard_normal(centres.shape)))

    def _words(self, count: int) -> list[str]:
        return [f"w{number}" for number in self._random.choice(_VOCABULARY, size=count, p=self._shares)]


def _unit(rows: NDArray[np.float64]) -> Vector:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
