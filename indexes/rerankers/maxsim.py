"""Late interaction without a model of its own: the token vectors of an embedding model, compared each with each.

Every token of the question looks for the token of the text that is nearest to it; the score is the mean of these
cosines (MaxSim: Khattab and Zaharia 2020, https://arxiv.org/abs/2004.12832). Special tokens are left out.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.weights import Weights
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector
from indexes.reranker import Pair, RerankerSpec
from indexes.torch_passes import Device, Precision, by_length


class MaxSimReranker:
    """Scores by the token vectors of one embedding model; no weights but that model's."""

    def __init__(self, embedder: SentenceTransformerEmbedder) -> None:
        self.spec = maxsim_spec(embedder.spec)
        self.tokenizer = embedder.tokenizer
        self.passes = embedder.passes
        self.pass_tokens = embedder.batch_tokens
        self._embedder = embedder
        self._query = lru_cache(maxsize=256)(self._read_query)  # a question comes in several batches

    @classmethod
    def load(
        cls, weights: Weights, *, device: Device = "auto", threads: int = 0, precision: Precision = "auto"
    ) -> "MaxSimReranker":
        """Loads the embedding model once more: 0.5 s and 90 MB for MiniLM. Raises SettingsError."""
        load = SentenceTransformerEmbedder.load
        return cls(load(weights, device=device, threads=threads, precision=precision, setting="rerank.device"))

    def scores(self, pairs: Sequence[Pair]) -> Vector:
        """Shape (len(pairs),), each 0..1: 0.5 is a mean cosine of 0, 0 a text without words. Raises Unavailable."""
        scores = np.empty(len(pairs), dtype=np.float32)
        places: dict[str, list[int]] = {}  # a text that several questions share is read once
        for position, pair in enumerate(pairs):
            places.setdefault(pair.text, []).append(position)
        texts = list(places)
        counts = [min(count, self._embedder.spec.max_tokens) for count in self.tokenizer.counts(texts)]
        for batch in by_length(counts, self.pass_tokens):
            of_batch = [texts[at] for at in batch]
            for text, tokens in zip(of_batch, self._embedder.token_vectors(of_batch), strict=True):
                for position in places[text]:
                    scores[position] = _score(self._query(pairs[position].query), tokens)
        return scores

    def _read_query(self, query: str) -> Vector:
        return self._embedder.token_vectors([query])[0]


def maxsim_spec(embedding: EmbeddingSpec) -> RerankerSpec:
    """What scoring by the token vectors of an embedding model is called."""
    return RerankerSpec(f"maxsim-{embedding.name}", embedding.weights)


def _score(query: Vector, text: Vector) -> float:
    """From token vectors of length 1 on both sides; 0 where one has none."""
    if not len(query) or not len(text):
        return 0.0
    return float(np.clip(((query @ text.T).max(axis=1).mean() + 1) / 2, 0.0, 1.0))
