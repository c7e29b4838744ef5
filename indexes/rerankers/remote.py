"""A reranker that other processes have loaded: `citewell retrieval`, over a unix socket or HTTP."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from indexes.embedder import Tokenizer
from indexes.model import Vector
from indexes.remote.endpoint import Endpoint
from indexes.remote.servers import ModelServers
from indexes.reranker import RerankerSpec


class RemoteReranker:
    """One model for one event loop. A server refuses a spec that is not the one of its own model."""

    def __init__(self, endpoints: Sequence[Endpoint], spec: RerankerSpec, tokenizer: Tokenizer) -> None:
        self._servers = ModelServers(endpoints)
        self._spec = spec
        self._tokenizer = tokenizer

    @property
    def spec(self) -> RerankerSpec:
        """What the model is."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer:
        """How it counts text, here in this process."""
        return self._tokenizer

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        """As `SharedReranker.scores`."""
        body = {"spec": asdict(self._spec), "query": query, "texts": list(texts)}
        return np.array((await self._servers.ask("/rerank", body))["scores"], dtype=np.float32)

    async def close(self) -> None:
        """Disconnect; the model goes on serving others."""
        await self._servers.close()
