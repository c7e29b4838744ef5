"""`/v1/models` and `/v1/embeddings`: the models that the platform itself uses."""

import asyncio

from fastapi import APIRouter

from api.deps import Reader, StateDep
from api.wire.embeddings import EmbeddingCreate, EmbeddingList
from api.wire.models import ModelList, ModelObject
from indexes.catalog import stores
from indexes.catalog.pages import Cursor
from indexes.errors import InvalidRequest, NotFound

router = APIRouter(prefix="/v1", tags=["models"])
_MOST_STORES = 100


@router.get("/models")
async def list_models(state: StateDep, caller: Reader) -> ModelList:
    """Answerers, alone and with each of the newest stores, the default answerer first; then embedding models."""
    async with state.database.read() as session:
        newest = (await stores.listing(session, caller.project, Cursor(limit=_MOST_STORES))).rows
    names = state.answering.names
    models = [ModelObject(id=name, created=0, kind="answerer") for name in names]
    models += [
        ModelObject(
            id=f"{name}@{store.name or store.id}",
            created=int(store.created_at),
            kind="answerer",
            vector_store_id=store.id,
        )
        for name in names
        for store in newest
    ]
    models += [ModelObject(id=name, created=0, kind="embedding") for name in state.models.names]
    return ModelList(data=models)


@router.get("/models/{model:path}")
async def get_model(state: StateDep, caller: Reader, model: str) -> ModelObject:
    """One model by its name."""
    for known in (await list_models(state, caller)).data:
        if known.id == model:
            return known
    raise NotFound(
        f"There is no model '{model}'. List them with GET /v1/models.", param="model", code="model_not_found"
    )


@router.post("/embeddings")
async def create_embeddings(state: StateDep, _caller: Reader, request: EmbeddingCreate) -> EmbeddingList:
    """Vectors of texts, by a model that indexes use."""
    async with state.capacity:
        embedder = await state.models.named(request.model)
        spec = embedder.spec
        if request.dimensions not in (None, spec.dimension):
            raise InvalidRequest(f"'{request.model}' has {spec.dimension} dimensions.", param="dimensions")
        vectors = await embedder.documents(request.texts)
    tokens = await asyncio.to_thread(lambda: sum(len(embedder.tokenizer.offsets(text)) for text in request.texts))
    return EmbeddingList.of(vectors, request, tokens=tokens)
