"""A model that other processes have loaded: `citewell retrieval`, over a unix socket or HTTP."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from indexes.embedder import Tokenizer
from indexes.errors import Overloaded
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector
from indexes.remote.codec import unpack_vectors
from indexes.remote.endpoint import Endpoint
from indexes.remote.servers import ModelServers


class RemoteEmbedder:
    """One model for one event loop. A server refuses a spec that is not the one of its own model (I6)."""

    def __init__(self, endpoints: Sequence[Endpoint], spec: EmbeddingSpec, tokenizer: Tokenizer) -> None:
        self._servers = ModelServers(endpoints)
        self._spec = spec
        self._tokenizer = tokenizer

    @property
    def spec(self) -> EmbeddingSpec:
        """What the model is."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer:
        """How it counts text, here in this process."""
        return self._tokenizer

    async def queries(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_queries`. Raises Overloaded where all servers are full, Unavailable where none answers."""
        return await self._rows("queries", texts)

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `Embedder.embed_documents`. Waits for room where all servers are full."""
        while True:
            try:
                return await self._rows("documents", texts)
            except Overloaded as refusal:
                await asyncio.sleep(refusal.retry_after_s)

    async def close(self) -> None:
        """Disconnect; the model goes on serving others."""
        await self._servers.close()

    async def _rows(self, kind: str, texts: Sequence[str]) -> Vector:
        body = {"spec": asdict(self._spec), "texts": list(texts)}
        return unpack_vectors(await self._servers.ask(f"/embed/{kind}", body))
