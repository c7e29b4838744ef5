"""What only a shared engine and shared models have to show: secrets, capacity, a server that goes and comes back."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from indexes import errors
from indexes.embedders.hashing import HashingEmbedder, WordTokenizer
from indexes.embedders.models import HASHING, Models
from indexes.embedders.remote import RemoteEmbedder
from indexes.engines.exact_index import ExactEngine
from indexes.engines.opening import open_engine
from indexes.engines.remote_index import RemoteEngine
from indexes.engines.settings import RemoteEngineSettings
from indexes.errors import (
    CitewellError,
    InvalidRequest,
    ManifestMismatch,
    NotFound,
    Overloaded,
    SettingsError,
    Unavailable,
)
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector
from indexes.remote.codec import pack_error, unpack_error
from indexes.remote.endpoint import Endpoint
from indexes.remote.secret import shared_secret
from indexes.settings import EmbeddingSettings

DIMENSION = 768
MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, DIMENSION, 128))
REVISION = "rev_" + "a" * 24
VECTOR = np.eye(1, DIMENSION, dtype=np.float32)[0]

Serve = Callable[..., Any]


def points(count: int) -> list[Point]:
    return [
        Point(chunk_id(REVISION, "c-1", number), REVISION, VECTOR, SparseVector((1,), (1.0,)), {})
        for number in range(count)
    ]


class Gated(ExactEngine):
    """Opening a version waits for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.gate.set()

    def open(self, version_id: str, manifest: Manifest) -> Any:
        self.entered.release()
        assert self.gate.wait(20)
        return super().open(version_id, manifest)


@pytest.fixture
def connect() -> Iterator[Callable[[Endpoint], RemoteEngine]]:
    """Engines that disconnect with the test."""
    made: list[RemoteEngine] = []

    def connect(endpoint: Endpoint) -> RemoteEngine:
        made.append(RemoteEngine(endpoint))
        return made[-1]

    yield connect
    for engine in made:
        engine.close()


def test_the_settings_name_it_and_the_secret_must_be_the_same(serve_engine: Serve, tmp_path: Path) -> None:
    endpoint = serve_engine(ExactEngine()).endpoint
    for secret, outcome in ((endpoint.secret, NotFound), ("another", Unavailable), ("", Unavailable)):
        settings = RemoteEngineSettings(url=endpoint.url, secret=SecretStr(secret))
        engine = open_engine(settings, tmp_path)
        with pytest.raises(outcome):
            engine.open("ixv_1", MANIFEST)
        engine.close()


def test_an_address_of_another_form_is_a_wrong_setting() -> None:
    for url in ("retrieval.sock", "unix://", "http://", "ftp://host/"):
        with pytest.raises(SettingsError, match="is no address"):
            Endpoint(url, "secret", 1)


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "retrieval.key"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: shared_secret(None, path), range(8)))
    assert len(made) == 1
    assert [path] == list(path.parent.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
    assert shared_secret(SecretStr("given"), path) == "given"
    path.write_text("")
    with pytest.raises(SettingsError, match="is empty"):
        shared_secret(None, path)


def _every(kind: type[CitewellError]) -> list[type[CitewellError]]:
    """The classes of `indexes.errors` below one, at any depth."""
    mine = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    return [*mine, *(deeper for one in mine for deeper in _every(one))]


@pytest.mark.parametrize("kind", [CitewellError, *_every(CitewellError)])
def test_every_error_arrives_as_itself(kind: type[CitewellError]) -> None:
    error = Overloaded("Full.", retry_after_s=0.5) if kind is Overloaded else kind("No.", code="mine", param="key")
    arrived = unpack_error(pack_error(error))
    assert type(arrived) is kind
    assert pack_error(arrived) == pack_error(error)


def test_what_no_json_can_hold_is_refused(serve_engine: Serve, connect: Any) -> None:
    index = connect(serve_engine(ExactEngine()).endpoint).create("ixv_1", MANIFEST)
    with pytest.raises(InvalidRequest, match="valid Unicode"):
        index.upsert([replace(points(1)[0], attributes={"key": "\ud800"})])


def test_a_version_that_another_process_dropped_is_noticed(serve_engine: Serve, connect: Any) -> None:
    endpoint = serve_engine(ExactEngine()).endpoint
    mine, other = connect(endpoint), connect(endpoint)
    index = mine.create("ixv_1", MANIFEST)
    other.drop("ixv_1")
    with pytest.raises(NotFound):
        index.chunk_ids(REVISION)
    with pytest.raises(NotFound):
        mine.open("ixv_1", MANIFEST)
    changed = replace(MANIFEST, parser="plain-2")
    other.create("ixv_1", changed)
    assert mine.open("ixv_1", changed).chunk_ids(REVISION) == set()
    with pytest.raises(ManifestMismatch):
        index.chunk_ids(REVISION)


def test_beyond_capacity_searches_are_refused_and_writes_wait(serve_engine: Serve, connect: Any) -> None:
    gated = Gated()
    index = connect(serve_engine(gated, admitted=1).endpoint).create("ixv_1", MANIFEST)
    gated.gate.clear()
    while gated.entered.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(3) as pool:
        search = pool.submit(index.dense, VECTOR, 1)
        writes = [pool.submit(index.upsert, points(500)[half * 250 :][:250]) for half in range(2)]
        assert gated.entered.acquire(timeout=10)
        assert gated.entered.acquire(timeout=10)  # one search and one write hold the only places
        with pytest.raises(Overloaded) as refusal:
            index.dense(VECTOR, 1)
        assert 0 < refusal.value.retry_after_s < 1
        gated.gate.set()
        assert isinstance(search.result(), list)
        for write in writes:
            write.result()
    assert len(index.chunk_ids(REVISION)) == 500


async def test_models_elsewhere_are_as_models_here(serve_engine: Serve, tmp_path: Path) -> None:
    here, texts = HashingEmbedder(), ["one", "two words", "one"]
    models = Models(EmbeddingSettings(model=HASHING), tmp_path, [serve_engine(ExactEngine()).endpoint])
    await models.load_default()
    embedder = await models.embedder(here.spec)
    assert isinstance(embedder, RemoteEmbedder)
    for call, expected in ((embedder.documents, here.embed_documents), (embedder.queries, here.embed_queries)):
        assert np.array_equal(await call(texts), expected(texts))
        assert (await call([])).shape == (0, here.spec.dimension)
    assert embedder.tokenizer.offsets("two words") == here.tokenizer.offsets("two words")
    await models.close()


async def test_a_model_of_another_spec_is_refused(serve_engine: Serve) -> None:
    spec = replace(HashingEmbedder().spec, weights="1" * 64)
    embedder = RemoteEmbedder([serve_engine(ExactEngine()).endpoint], spec, WordTokenizer())
    with pytest.raises(ManifestMismatch):
        await embedder.documents(["text"])
    await embedder.close()


async def test_who_gives_up_makes_room_and_documents_wait_for_it(
    serve_engine: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, embed = threading.Event(), HashingEmbedder.embed_documents

    def gated(self: HashingEmbedder, texts: list[str]) -> Any:
        assert gate.wait(20)
        return embed(self, texts)

    monkeypatch.setattr(HashingEmbedder, "embed_documents", gated)
    server = serve_engine(ExactEngine(), admitted=1)
    embedder = RemoteEmbedder([server.endpoint], HashingEmbedder().spec, WordTokenizer())
    abandoned = asyncio.create_task(embedder.documents(["abandoned"]))
    while not server.served.embeddings.taken:
        await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await embedder.queries(["query"])
    abandoned.cancel()
    while server.served.embeddings.taken:
        await asyncio.sleep(0.01)
    waiting = asyncio.gather(embedder.documents(["one"]), embedder.documents(["another"]))
    await asyncio.sleep(0.2)  # one of them has the place, the other asks again and again
    gate.set()
    assert np.array_equal(np.vstack(await waiting), embed(HashingEmbedder(), ["one", "another"]))
    await embedder.close()
