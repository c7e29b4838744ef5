"""What only the engine of Qdrant servers has to show: collections that are gone, and come back."""

from dataclasses import replace

import numpy as np
import pytest
from qdrant_client import QdrantClient

from indexes.engines.points import number_fields
from indexes.engines.qdrant_server import QdrantServerEngine
from indexes.engines.settings import QdrantServerEngineSettings
from indexes.errors import NotFound
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector

MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 2, 128))
REVISION = "rev_" + "a" * 24
POINT = Point(
    chunk_id(REVISION, "c-1", 0), REVISION, np.ones(2, dtype=np.float32), SparseVector((1,), (1.0,)), {"year": 2026.0}
)


class Client(QdrantClient):
    """A server in memory, and which fields of which collection were to have an index."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.indexed: list[str] = []

    def create_payload_index(self, collection_name: str, field_name: str, *_: object, **__: object) -> None:  # type: ignore[override]
        self.indexed.append(field_name)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def engine(client: Client) -> QdrantServerEngine:
    return QdrantServerEngine(client, QdrantServerEngineSettings(url="http://unused"))


def test_a_collection_that_is_gone_is_noticed(client: Client, engine: QdrantServerEngine) -> None:
    index = engine.create("ixv_1", MANIFEST)
    client.delete_collection("ixv_1")
    with pytest.raises(NotFound):
        index.dense(POINT.vector, 1)
    with pytest.raises(NotFound):
        engine.open("ixv_1", MANIFEST)


def test_one_that_is_made_anew_has_the_indexes_that_it_needs(client: Client, engine: QdrantServerEngine) -> None:
    engine.create("ixv_1", MANIFEST).upsert([POINT])
    client.delete_collection("ixv_1")
    client.indexed.clear()
    again = engine.create("ixv_1", replace(MANIFEST, parser="plain-2"))  # nobody saw that it was gone
    again.upsert([POINT])
    assert client.indexed[-1:] == list(number_fields(POINT.attributes))
    assert again.count() == 1
