"""`/v1/vector_stores/{id}/events`: a store's ingestion as it happens."""

import math
import time
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header

from api.deps import Reader, StateDep, StoppingDep, StoreId
from api.ingestion_events import Watch, follow
from api.sse import EventStream, bounded, primed
from indexes.catalog import stores
from indexes.errors import InvalidRequest

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/events", tags=["vector stores"])
_KINDS = ("VectorStore", "VectorStoreFile", "VectorStoreFileDeleted", "VectorStoreDeleted")
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events; `data` is one of these objects.",
        "content": {
            "text/event-stream": {
                "schema": {"anyOf": [{"$ref": f"#/components/schemas/{kind}"} for kind in _KINDS]},
            }
        },
    }
}


@router.get("", status_code=200, response_class=EventStream, responses=_STREAM)
async def follow_vector_store(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    stopping: StoppingDep,
    last_event_id: Annotated[
        str | None, Header(description="The `id` of the last event that was seen: what changed since is sent first.")
    ] = None,
) -> EventStream:
    """Follow the work on a store as server-sent events, until the client leaves.

    `vector_store.progress` with the store and its counts comes first and whenever they change; `vector_store.file`
    whenever the work on a file gets further; `vector_store.file.deleted` and `vector_store.deleted` at the end of
    either. A file that is erased at once may show in the counts alone.
    """
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
    resumed = last_event_id is not None
    since = _moment(last_event_id) if last_event_id is not None else time.time()
    watch = Watch(state.database, caller.project, vector_store_id, since)
    events = follow(watch, resumed=resumed, stopping=stopping)
    return EventStream(await primed(bounded(state.listeners, events)))


def _moment(event_id: str) -> float:
    with suppress(ValueError):
        moment = float(event_id)
        if math.isfinite(moment):
            return moment
    raise InvalidRequest(
        "Last-Event-ID is not the id of an event of this stream. Leave it out to begin with what changes from now on.",
        param="Last-Event-ID",
    )
