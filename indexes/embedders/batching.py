"""One embedder shared by concurrent callers: common batches, queries that do not wait for documents, bounded queues."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from indexes.embedder import Embedder, Tokenizer
from indexes.errors import Overloaded
from indexes.lane import Lane, alike
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector

_QUERY_BATCH = 16
_LEAST_SLICE_TOKENS = 512  # a smaller one costs a twelfth more a token


class BatchingEmbedder:
    """An embedder for one event loop, which it never blocks. Rows are those of the wrapped embedder.

    Queries and documents have a lane each (`lane.Lane`), so that a query shares the cores with the documents under way
    and does not wait for them.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        max_queries: int = 256,
        max_documents: int = 512,
        slices_at_once: int = 1,
        slice_tokens: int = 1_024,
        cached_queries: int = 1_024,
    ) -> None:
        """`max_queries` and `max_documents` bound the texts on their way.

        Documents are embedded in slices of up to `slice_tokens`, `slices_at_once` side by side. A slice is what a stop
        waits for, and on a GPU a query. A larger one costs more than it saves where few texts wait: these are less
        alike in length, and padded to the longest.
        """
        self._embedder = embedder
        self._slices_at_once = slices_at_once
        self._slice_tokens = slice_tokens
        self._cached_queries = cached_queries
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        # Half of the cores: the rest of a search needs the others, and what waits meanwhile is embedded together, which
        # costs less a query. On two cores with 8 clients one batch at once made 104 to 121 searches a second, two at
        # once 88 to 99.
        at_once = max(1, slices_at_once // 2)
        self._queries: Lane[str, Vector] = Lane(
            "queries", embedder.embed_queries, _first_queries, capacity=max_queries, at_once=at_once
        )
        self._documents: Lane[str, Vector] = Lane(
            "documents", embedder.embed_documents, self._slice, capacity=max_documents, at_once=slices_at_once
        )

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
        rows |= await self._queries.results(dict.fromkeys(missing, 1))
        self._remember(rows)
        return self._stack(rows, texts)

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_documents`. Waits where the queue is full. Raises Unavailable after `close`."""
        sizes = await asyncio.to_thread(self._sizes, texts)
        return self._stack(await self._documents.results(sizes), texts)

    async def close(self) -> None:
        """Ends the batches under way; what waits fails with Unavailable."""
        await asyncio.gather(self._queries.close(), self._documents.close())

    def _sizes(self, texts: Sequence[str]) -> dict[str, int]:
        """How many tokens the model reads of each text."""
        offsets, most = self._embedder.tokenizer.offsets, self.spec.max_tokens
        return {text: min(len(offsets(text)), most) for text in dict.fromkeys(texts)}

    def _slice(self, sizes: Mapping[str, int]) -> list[str]:
        """The text that came first and those nearest to it in length; where few wait, the share of one slice."""
        share = sum(sizes.values()) // self._slices_at_once
        most = min(self._slice_tokens, max(share, _LEAST_SLICE_TOKENS))
        return alike(sizes, most)

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


def _first_queries(sizes: Mapping[str, int]) -> list[str]:
    return list(sizes)[:_QUERY_BATCH]
