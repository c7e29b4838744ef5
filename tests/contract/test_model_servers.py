"""Several `citewell retrieval` that run the same models: who is asked, and what becomes of those that fail."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexes.embedders.hashing import HashingEmbedder, WordTokenizer
from indexes.embedders.remote import RemoteEmbedder
from indexes.engines.exact_index import ExactEngine
from indexes.engines.remote_index import RemoteEngine
from indexes.errors import Overloaded, SettingsError, Unavailable
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.remote.endpoint import Endpoint
from indexes.remote.servers import ModelServers

Serve = Callable[..., Any]
SPEC = HashingEmbedder().spec
BODY = {"spec": {field: getattr(SPEC, field) for field in SPEC.__slots__}, "texts": ["a"]}
MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 8, 128))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def nobody(tmp_path: Path) -> Endpoint:
    """Where nobody listens."""
    return Endpoint(f"unix://{tmp_path}/nobody", "secret", timeout_s=5)


def full(server: Any) -> None:
    server.served.embeddings.limit = 0


async def test_one_that_does_not_answer_is_left_out_for_a_while(serve_engine: Serve, nobody: Endpoint) -> None:
    clock, server = Clock(), serve_engine(ExactEngine())
    servers = ModelServers([nobody, server.endpoint], clock)
    assert await servers.ask("/embed/queries", BODY)
    full(server)
    with pytest.raises(Overloaded):  # the other rests, and is tried all the same
        await servers.ask("/embed/queries", BODY)
    server.served.embeddings.limit = 1
    clock.now = 60
    assert await servers.ask("/embed/queries", BODY)
    await servers.close()


async def test_the_full_one_sends_to_the_next_and_none_at_all_is_said(serve_engine: Serve, nobody: Endpoint) -> None:
    one, two = serve_engine(ExactEngine()), serve_engine(ExactEngine())
    full(one)
    embedder = RemoteEmbedder([one.endpoint, two.endpoint], SPEC, WordTokenizer())
    assert np.array_equal(await embedder.queries(["a"]), HashingEmbedder().embed_queries(["a"]))
    await embedder.close()
    alone = ModelServers([nobody, nobody])
    with pytest.raises(Unavailable, match="does not answer"):
        await alone.ask("/embed/queries", BODY)
    await alone.close()


async def test_calls_at_once_are_spread(serve_engine: Serve) -> None:
    one, two = serve_engine(ExactEngine(), admitted=1), serve_engine(ExactEngine(), admitted=1)
    servers = ModelServers([one.endpoint, two.endpoint])
    assert all(await asyncio.gather(*(servers.ask("/embed/queries", BODY) for _ in range(2))))
    await servers.close()


def test_one_without_an_engine_says_so(serve_engine: Serve) -> None:
    engine = RemoteEngine(serve_engine(None).endpoint)
    with pytest.raises(SettingsError, match="has no vectors"):
        engine.create("ixv_1", MANIFEST)
    engine.close()
