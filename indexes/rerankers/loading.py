"""A reranker whose model is being loaded: there at once, and answering as soon as it can."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from indexes.embedder import Tokenizer
from indexes.errors import CitewellError, Unavailable
from indexes.model import Vector
from indexes.reranker import Reranker, RerankerSpec
from indexes.rerankers.batching import BatchingReranker

log = logging.getLogger(__name__)


class LoadingReranker:
    """Loads a model in a thread from the moment it is made, in an event loop, and shares it by `BatchingReranker`."""

    def __init__(self, spec: RerankerSpec, tokenizer: Tokenizer, load: Callable[[], Reranker]) -> None:
        self._spec = spec
        self._tokenizer = tokenizer
        self._loading = asyncio.create_task(self._load(load))
        self._loading.add_done_callback(_say_what_failed)

    @property
    def spec(self) -> RerankerSpec:
        """What the model is."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer:
        """How it counts text."""
        return self._tokenizer

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        """As `SharedReranker.scores`, once the model is loaded. Raises what loading raised."""
        try:
            # Shielded: a caller that goes away must not take the model from the others.
            reranker = await asyncio.shield(self._loading)
        except asyncio.CancelledError:
            if not self._loading.cancelled():
                raise
            raise Unavailable("The reranker is being shut down: send the request again.") from None
        return await reranker.scores(query, texts)

    async def close(self) -> None:
        """Stop the model, or its loading."""
        self._loading.cancel()
        (loaded,) = await asyncio.gather(self._loading, return_exceptions=True)
        if isinstance(loaded, BatchingReranker):
            await loaded.close()

    async def _load(self, load: Callable[[], Reranker]) -> BatchingReranker:
        return BatchingReranker(await asyncio.to_thread(load))


def _say_what_failed(loading: asyncio.Task[BatchingReranker]) -> None:
    error = None if loading.cancelled() else loading.exception()
    if isinstance(error, CitewellError):
        log.error("the reranker cannot be loaded: %s", error.message)
    elif error is not None:
        log.error("the reranker cannot be loaded", exc_info=error)
