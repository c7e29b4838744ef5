"""One embedder shared by concurrent callers: common batches, queries that do not wait for documents, bounded queues."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from indexes.embedder import Embedder, Tokenizer
from indexes.embedders.lane import Lane
from indexes.errors import Overloaded
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector

_QUERY_BATCH = 16
# Documents are sorted by length within a window, and cut into slices. A slice of fewer tokens leaves cores idle; a
# larger one gains nothing.
_WINDOW = 256
_LEAST_SLICE_TOKENS = 512
_FIRST_SLICE_TOKENS = 1_024
_LARGEST_SLICE_TOKENS = 32_768


class BatchingEmbedder:
    """An embedder for one event loop, which it never blocks. Rows are those of the wrapped embedder.

    Queries and documents have a lane each (`lane.Lane`): a query shares the cores with the documents under way rather
    than waiting for them, which was measured to take a tenth of the time.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        max_queries: int = 256,
        max_documents: int = 512,
        slice_s: float = 0.25,
        cached_queries: int = 1_024,
    ) -> None:
        """`max_queries` and `max_documents` bound the texts on their way. `slice_s` is how long one batch of documents
        should take, which is what a stop waits for, and on a GPU a query; its size follows the speed seen.
        """
        self._embedder = embedder
        self._slice_s = slice_s
        self._slice_tokens = float(_FIRST_SLICE_TOKENS)
        self._cached_queries = cached_queries
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._queries = Lane("queries", embedder.embed_queries, None, capacity=max_queries, window=_QUERY_BATCH)
        self._documents = Lane("documents", self._embed_slice, self._slices, capacity=max_documents, window=_WINDOW)

    @property
    def spec(self) -> EmbeddingSpec:
        """The wrapped model."""
        return self._embedder.spec

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the wrapped model."""
        return self._embedder.tokenizer

    async def queries(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_queries`. Raises Overloaded where the queue is full, Unavailable after `close`."""
        rows = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in rows]
        fresh = sum(text not in self._queries for text in missing)
        # Into an empty queue any call may go: else one larger than the queue could never be served.
        if len(self._queries) and len(self._queries) + fresh > self._queries.capacity:
            raise Overloaded(f"{len(self._queries)} queries are waiting to be embedded: try again shortly.")
        rows |= await self._queries.rows(missing)
        self._remember(rows)
        return self._stack(rows, texts)

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_documents`. Waits where the queue is full. Raises Unavailable after `close`."""
        return self._stack(await self._documents.rows(texts), texts)

    async def close(self) -> None:
        """Ends the batches under way; what waits fails with Unavailable."""
        await asyncio.gather(self._queries.close(), self._documents.close())

    def _slices(self, texts: list[str]) -> list[list[str]]:
        """Batches of texts of like length, each of about `slice_s`."""
        slices: list[list[str]] = []
        for tokens, text in sorted((self._tokens(text), text) for text in texts):
            if slices and (len(slices[-1]) + 1) * tokens <= self._slice_tokens:
                slices[-1].append(text)
            else:
                slices.append([text])
        return slices

    def _embed_slice(self, texts: list[str]) -> Vector:
        """Embeds documents, and learns how many tokens fit into `slice_s`."""
        began = time.perf_counter()
        rows = self._embedder.embed_documents(texts)
        elapsed_s = time.perf_counter() - began
        fitting = sum(map(self._tokens, texts)) * self._slice_s / max(elapsed_s, 1e-6)
        blended = 0.7 * self._slice_tokens + 0.3 * fitting
        self._slice_tokens = min(max(blended, _LEAST_SLICE_TOKENS), _LARGEST_SLICE_TOKENS)
        return rows

    def _tokens(self, text: str) -> int:
        return min(len(self._embedder.tokenizer.offsets(text)), self.spec.max_tokens)

    def _remember(self, rows: dict[str, Vector]) -> None:
        for text, row in rows.items():
            self._cache[text] = row.copy()  # a view would keep its whole batch
            self._cache.move_to_end(text)
        while len(self._cache) > self._cached_queries:
            self._cache.popitem(last=False)

    def _stack(self, rows: dict[str, Vector], texts: Sequence[str]) -> Vector:
        stacked = np.empty((len(texts), self.spec.dimension), dtype=np.float32)
        for position, text in enumerate(texts):
            stacked[position] = rows[text]
        return stacked
