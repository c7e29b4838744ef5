"""The application of `citewell retrieval`: models, and an engine of its own, for the processes of an installation.

Not the public API: its callers are `indexes/engines/remote_index.py` and the `remote.py` of embedders and of rerankers.
Engine calls block, so each runs in a thread; searches and writes have threads of their own, so that neither waits for
the other.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.disconnect import while_wanted
from api.errors import status_and_type
from api.limits import Capacity
from api.retrieval_operations import READS, WRITES, Operation
from indexes.embedder import SharedEmbedder
from indexes.embedders.models import Models
from indexes.errors import CitewellError, InvalidRequest, Overloaded, SettingsError, Unauthenticated
from indexes.index import Engine
from indexes.manifest import EmbeddingSpec
from indexes.model import Vector
from indexes.remote.codec import pack_error, pack_vectors
from indexes.remote.endpoint import PREFIX
from indexes.reranker import RerankerSpec, SharedReranker

_WAIT_S = 0.1  # for which a caller that found no room is sent away: its next try is cheap


class Lane:
    """Blocking calls of one kind: so many admitted, so many of these at once."""

    def __init__(self, name: str, admitted: int, threads: int) -> None:
        self.capacity = Capacity(admitted, retry_after_s=_WAIT_S)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[[], bytes]) -> bytes:
        """The result of the call, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Wait for the calls that run."""
        self._threads.shutdown()


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, to whom, and how much at once. Without an engine, the models alone."""

    engine: Engine | None
    models: Models
    secret: str
    reads: Lane
    writes: Lane
    embeddings: Capacity
    reranks: Capacity
    reranker: SharedReranker | None = None


def create_retrieval_app(served: Served) -> Starlette:
    """The application. It owns nothing: the caller opens and closes what is served."""
    engine_routes = [
        Route(f"/index/{name}", _engine_call(served.engine, lane, operation), methods=["POST"])
        for lane, operations in ((served.reads, READS), (served.writes, WRITES))
        for name, operation in operations.items()
    ]
    embedding_routes = [
        Route("/embed/queries", _embedding(served, lambda embedder: embedder.queries), methods=["POST"]),
        Route("/embed/documents", _embedding(served, lambda embedder: embedder.documents), methods=["POST"]),
    ]
    rerank_routes = [Route("/rerank", _reranking(served), methods=["POST"])]
    known = [Middleware(_Authenticated, secret=served.secret)]

    async def readyz(request: Request) -> Response:
        ready = served.models.ready
        parts = {"models": "ok" if ready else "the embedding model is being loaded"}
        return _json(orjson.dumps(parts), 200 if ready else 503)

    return Starlette(
        routes=[
            Route("/healthz", _healthz),
            Route("/readyz", readyz),
            Mount(PREFIX, routes=engine_routes + embedding_routes + rerank_routes, middleware=known),
        ],
        exception_handlers={CitewellError: _on_error, Exception: _on_bug},
    )


class _Authenticated:
    """Lets only those in who know the secret."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._expected = f"Bearer {secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        offered = Headers(scope=scope).get("authorization", "").encode()
        if not secrets.compare_digest(offered, self._expected):
            raise Unauthenticated("This secret is not the one in `retrieval.key`.")
        await self._app(scope, receive, send)


def _engine_call(engine: Engine | None, lane: Lane, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if engine is None:
            raise SettingsError(
                'This `citewell retrieval` has no vectors (`retrieval.engine.kind = "none"`): name the one that owns '
                "them in `engine.url`."
            )
        async with lane.capacity:  # before the body is read: what is refused takes no memory
            body = await request.body()
            return _json(await lane.run(partial(_do, engine, operation, body)))

    return answer


def _do(engine: Engine, operation: Operation, body: bytes) -> bytes:
    return orjson.dumps(operation(engine, _loaded(body)))


def _embedding(
    served: Served, choose: Callable[[SharedEmbedder], Callable[[list[str]], Coroutine[Any, Any, Vector]]]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        async with served.embeddings:
            body = _loaded(await request.body())
            embedder = await served.models.embedder(EmbeddingSpec(**body["spec"]))
            rows = await while_wanted(request, choose(embedder)(body["texts"]))
            return _json(orjson.dumps(pack_vectors(rows)))

    return answer


def _reranking(served: Served) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        async with served.reranks:
            body = _loaded(await request.body())
            spec = RerankerSpec(**body["spec"])
            if served.reranker is None or served.reranker.spec != spec:
                raise SettingsError(
                    f"`citewell retrieval` does not run the reranker '{spec.name}', or with other weights: give all "
                    "processes the same `rerank` settings."
                )
            scores = await while_wanted(request, served.reranker.scores(body["query"], body["texts"]))
            return _json(orjson.dumps({"scores": scores.tolist()}))

    return answer


async def _healthz(request: Request) -> Response:
    return _json(b'{"status":"ok"}')


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CitewellError)
    reply = _json(orjson.dumps({"error": pack_error(error)}), status_and_type(error)[0])
    if isinstance(error, Overloaded):
        reply.headers["retry-after"] = str(math.ceil(error.retry_after_s))
    return reply


async def _on_bug(request: Request, error: Exception) -> Response:
    # The server logs the traceback.
    message = f"`citewell retrieval` failed here: {error!r}. Its log says more."
    return _json(orjson.dumps({"error": pack_error(CitewellError(message))}), 500)


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    return loaded


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")
