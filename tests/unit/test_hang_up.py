"""Models stop working for a client that has gone."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from api.limits import Capacity
from api.routes.models import create_embeddings, create_rerank
from api.wire.embeddings import EmbeddingCreate
from api.wire.rerank import RerankCreate
from indexes.errors import Abandoned


class Endless:
    """An embedder and a reranker that work until they are told to stop."""

    spec = SimpleNamespace(name="m", dimension=4)
    stopped = False

    async def documents(self, *_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True

    scores = documents


class OneModel(Endless):
    async def named(self, _name: str) -> Endless:
        return self


async def gone() -> dict[str, Any]:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        (create_embeddings, EmbeddingCreate(model="m", input="a")),
        (create_rerank, RerankCreate(model="m", query="a", documents=["b"])),
    ],
)
async def test_a_client_that_hangs_up_stops_its_model_and_frees_its_place(route: Any, asked: Any) -> None:
    model, capacity = OneModel(), Capacity(1)
    state = SimpleNamespace(capacity=capacity, reranker=model, models=model)
    with pytest.raises(Abandoned):
        await route(Request({"type": "http"}, gone), state, None, asked)
    await asyncio.sleep(0)
    assert model.stopped
    assert capacity.taken == 0
