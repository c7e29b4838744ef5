"""The HTTP application: routes, middleware and the life of a process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from api import errors
from api.middleware import middleware
from api.routes import (
    boxes,
    chat,
    comparisons,
    documents,
    events,
    file_batches,
    files,
    golden_sets,
    index_versions,
    live_prompts,
    models,
    operations,
    promotion,
    prompts,
    replays,
    responses,
    snapshots,
    vector_store_files,
    vector_stores,
)
from api.settings import Settings
from api.state import open_state, open_storage, working

ROUTERS = (
    files,
    vector_stores,
    vector_store_files,
    boxes,
    file_batches,
    documents,
    events,
    index_versions,
    promotion,
    comparisons,
    golden_sets,
    snapshots,
    prompts,
    live_prompts,
    responses,
    replays,
    chat,
    models,
)


def create_app(settings: Settings) -> FastAPI:
    """The application; everything it needs is opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            storage = await stack.enter_async_context(open_storage(settings))
            app.state.citewell = await stack.enter_async_context(open_state(storage))
            if settings.worker.embedded:
                await stack.enter_async_context(working(storage))
            yield

    app = FastAPI(
        title="Citewell",
        version="0.1.0",
        description="Search and cited answers over your documents, by OpenAI's own API and what it lacks.",
        lifespan=lifespan,
        responses=errors.RESPONSES,
        middleware=middleware(settings.server.max_json_bytes, settings.server.stall_s),
    )
    errors.install(app)
    for module in (*ROUTERS, operations):
        app.include_router(module.router)
    return app
