"""A store's ingestion as server-sent events, read from the catalog, so that any process may have done the work."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from pydantic import BaseModel

from api import presenting
from api.wire.vector_store_files import VectorStoreFileDeleted
from api.wire.vector_stores import VectorStore, VectorStoreDeleted
from indexes.catalog import parts, progress, stores
from indexes.catalog.database import Database
from indexes.catalog.tables import Revision, RevisionState
from indexes.errors import NotFound
from ingestion import estimate

POLL_S = 0.5
HEARTBEAT_S = 10.0
LONGEST_S = 3600.0
"""After this a stream ends and the client comes back, so that a revoked key does not listen for ever."""

_OVERLAP_S = 2.0
_PAGE = 500
_HEARTBEAT = b": nothing new\n\n"


@dataclass(slots=True)
class Watch:
    """One listener's place in the changes of one store. `since` is the time of the last change it knows of."""

    database: Database
    project: str
    store_id: str
    since: float
    _seen: dict[str, float] = field(default_factory=dict)

    async def store(self) -> VectorStore:
        """The store with its counts as they are now. Raises NotFound once it is deleted."""
        async with self.database.read() as session:
            row = await stores.get(session, self.project, self.store_id)
            counts = await stores.counts(session, [row.id])
            etas = await estimate.of_stores(session, counts)
        return presenting.store(row, counts[row.id], etas.get(row.id))

    async def changes(self) -> AsyncGenerator[bytes, None]:
        """One event for each revision that changed since the last call."""
        # Transactions of other processes may commit a little out of the order of their clocks: look back, send once.
        place = (self.since - _OVERLAP_S, 0)
        more = True
        while more:
            async with self.database.read() as session:
                rows = await progress.changed(session, self.store_id, place, _PAGE)
                fresh = [row for row in rows if self._seen.get(row.id) != row.updated_at]
                etas = await estimate.of_files(session, self.store_id, fresh)
                parents = await parts.parents(session, fresh)
            for row in fresh:
                self._seen[row.id] = row.updated_at
                if row.state != RevisionState.SUPERSEDED:  # the newer file of its key says so by completing
                    yield _changed(row, etas.get(row.seq), parents.get(row.parent_id))
            more = len(rows) == _PAGE
            if rows:
                place = (rows[-1].updated_at, rows[-1].seq)
                self.since = max(self.since, rows[-1].updated_at)
        self._seen = {ident: at for ident, at in self._seen.items() if at > self.since - _OVERLAP_S}


async def follow(watch: Watch, *, resumed: bool, stopping: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
    """The store, then every change, and the store again whenever its counts differ; heartbeats in between.

    A listener that resumes gets what changed meanwhile; it may see the last changes before its break twice. Ends when
    the process is `stopping`, so that listeners do not hold it up; they come back to another one.
    """
    if not resumed:
        async for _ in watch.changes():
            pass
    start, shown, spoke = time.monotonic(), await watch.store(), time.monotonic()
    yield _encoded("vector_store.progress", shown, watch.since)
    while time.monotonic() - start < LONGEST_S and not stopping():
        news = False
        async for change in watch.changes():
            news = True
            yield change
        if news or time.monotonic() - spoke > HEARTBEAT_S:
            try:
                now = await watch.store()
            except NotFound:
                yield _encoded("vector_store.deleted", VectorStoreDeleted(id=watch.store_id), watch.since)
                return
            differs = (now.file_counts, now.chunks_done) != (shown.file_counts, shown.chunks_done)
            yield _encoded("vector_store.progress", now, watch.since) if differs else _HEARTBEAT
            shown, spoke = now, time.monotonic()
        await asyncio.sleep(POLL_S)


def _changed(row: Revision, eta_s: float | None, parent: Revision | None) -> bytes:
    if row.state == RevisionState.DELETED:
        return _encoded("vector_store.file.deleted", VectorStoreFileDeleted(id=row.file_id), row.updated_at)
    return _encoded("vector_store.file", presenting.store_file(row, eta_s, parent), row.updated_at)


def _encoded(name: str, data: BaseModel, at: float) -> bytes:
    return f"event: {name}\nid: {at!r}\ndata: {data.model_dump_json()}\n\n".encode()
