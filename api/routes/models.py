"""`/v1/models`, `/v1/embeddings` and `/v1/rerank`: the models that the platform itself uses."""

import asyncio

from fastapi import APIRouter, Request

from api.deps import Reader, StateDep
from api.disconnect import while_wanted
from api.wire.embeddings import EmbeddingCreate, EmbeddingList
from api.wire.models import ModelList, ModelObject
from api.wire.rerank import RerankCreate, RerankList
from indexes.catalog import stores
from indexes.catalog.pages import Cursor
from indexes.embedder import Tokenizer
from indexes.errors import InvalidRequest, NotFound
from indexes.ids import Kind, new_id

router = APIRouter(prefix="/v1", tags=["models"])
_MOST_STORES = 100


@router.get("/models")
async def list_models(state: StateDep, caller: Reader) -> ModelList:
    """Answerers, alone and with each of the newest stores, the default answerer first; then embedding models and
    the reranker, if there is one.
    """
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
    if state.reranker is not None:
        models.append(ModelObject(id=state.reranker.spec.name, created=0, kind="reranker"))
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
async def create_embeddings(http: Request, state: StateDep, _caller: Reader, request: EmbeddingCreate) -> EmbeddingList:
    """Vectors of texts, by a model that indexes use."""
    async with state.capacity:
        embedder = await state.models.named(request.model)
        spec = embedder.spec
        if request.dimensions not in (None, spec.dimension):
            raise InvalidRequest(f"'{request.model}' has {spec.dimension} dimensions.", param="dimensions")
        vectors = await while_wanted(http, embedder.documents(request.texts))
    tokens = await asyncio.to_thread(_tokens, embedder.tokenizer, request.texts, spec.max_tokens)
    return EmbeddingList.of(vectors, request, tokens=tokens)


@router.post("/rerank", response_model_exclude_none=True)
async def create_rerank(http: Request, state: StateDep, _caller: Reader, request: RerankCreate) -> RerankList:
    """Texts in the order in which they answer a query, by the reranker that searches use."""
    reranker = state.reranker
    if reranker is None or request.model != reranker.spec.name:
        known = f"Known: {reranker.spec.name}." if reranker else "None is set up: the operator's setting is `rerank`."
        raise NotFound(f"There is no reranker '{request.model}'. {known}", code="model_not_found", param="model")
    async with state.capacity:
        scores = await while_wanted(http, reranker.scores(request.query, request.texts))
    tokens = None
    if reranker.tokenizer is not None:
        tokens = await asyncio.to_thread(_tokens, reranker.tokenizer, [request.query, *request.texts])
    return RerankList.of(scores, request, reply_id=new_id(Kind.RERANKING), tokens=tokens)


def _tokens(tokenizer: Tokenizer, texts: list[str], most: int | None = None) -> int:
    """How many tokens the texts have, or `most` of each if it has more: what a model reads."""
    return sum(len(tokenizer.offsets(text)[:most]) for text in texts)
