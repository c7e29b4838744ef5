"""One reranker shared by concurrent callers: common batches, questions that take turns, a bounded queue."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import numpy as np

from indexes.embedder import Tokenizer
from indexes.errors import Overloaded
from indexes.lane import Lane, alike
from indexes.model import Vector
from indexes.reranker import Pair, Reranker, RerankerSpec

_TOKEN = 4  # characters: enough to tell long texts from short ones, which is all that it is for
_WINDOW = 3  # batches among whose worth of pairs the next batch looks for texts of like length


class BatchingReranker:
    """A reranker for one event loop, which it never blocks. Scores are those of the wrapped reranker.

    Each batch takes the next texts of every question that waits, so that a question with many texts does not keep the
    others from their first ones.
    """

    def __init__(self, reranker: Reranker, *, max_pairs: int = 4_096) -> None:
        """`max_pairs` bounds the pairs on their way: some of the largest calls of the API, and room for searches."""
        self._reranker = reranker
        self._batch_size = reranker.pass_tokens * _TOKEN
        self._pairs: Lane[Pair, float] = Lane(
            "rerank", reranker.scores, self._choose, capacity=max_pairs, at_once=reranker.passes
        )

    @property
    def spec(self) -> RerankerSpec:
        """The wrapped model."""
        return self._reranker.spec

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of the wrapped model."""
        return self._reranker.tokenizer

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        """As `Reranker.scores`, for one question. Raises Overloaded where the queue is full, Unavailable after
        `close`.
        """
        pairs = [Pair(query, text) for text in texts]
        sizes = {pair: len(pair.query) + len(pair.text) for pair in pairs}
        fresh = sum(pair not in self._pairs for pair in sizes)
        # Into an empty queue any call may go: else one larger than the queue could never be served.
        if len(self._pairs) and len(self._pairs) + fresh > self._pairs.capacity:
            raise Overloaded(f"{len(self._pairs)} texts are waiting to be reranked: try again shortly.")
        scored = await self._pairs.results(sizes)
        return np.array([scored[pair] for pair in pairs], dtype=np.float32)

    async def close(self) -> None:
        """Ends the batches under way; what waits fails with Unavailable."""
        await self._pairs.close()

    def _choose(self, sizes: Mapping[Pair, int]) -> list[Pair]:
        """The next pair in turn, and those nearest to it in length among the next few."""
        most = min(self._batch_size, sum(sizes.values()) // self._reranker.passes)
        near: dict[Pair, int] = {}
        room = _WINDOW * most
        for pair in _in_turns(sizes):
            near[pair] = sizes[pair]
            room -= sizes[pair]
            if room < 0:
                break
        return alike(near, most)


def _in_turns(pairs: Iterable[Pair]) -> list[Pair]:
    """The first of each question, then the second of each, and so on."""
    by_query: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_query.setdefault(pair.query, []).append(pair)
    return [pair for turn in zip_longest(*by_query.values()) for pair in turn if pair is not None]
