"""A revision that takes its predecessor's place in the middle of a search is what the search finds (I4)."""

import asyncio
import dataclasses
import threading
from functools import partial
from typing import Any

from sqlalchemy import update

from api.state import Storage, working
from indexes.catalog import visibility
from indexes.catalog.tables import Revision, RevisionState
from indexes.index import Engine, Index
from indexes.manifest import Manifest
from indexes.model import Matches
from ingestion.erase import Eraser
from retrieval.search import Query, Searcher
from retrieval.settings import SearchSettings

_WAIT_S = 30.0


class Staged:
    """An engine that lets a search begin when a revision has its points and is not completed, and holds the search
    up until the revision is, and the points of the one before are erased."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.on_stage = False
        self.stored, self.begun, self.erased = threading.Event(), threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def create(self, version_id: str, manifest: Manifest) -> Any:
        return StagedIndex(self, self._engine.create(version_id, manifest))

    def open(self, version_id: str, manifest: Manifest) -> Any:
        return StagedIndex(self, self._engine.open(version_id, manifest))


class StagedIndex:
    def __init__(self, stage: Staged, index: Index) -> None:
        self._stage, self._index = stage, index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def chunk_ids(self, revision_id: str) -> set[str]:
        found = self._index.chunk_ids(revision_id)
        if self._stage.on_stage and found and not self._stage.stored.is_set():
            self._stage.stored.set()
            assert self._stage.begun.wait(_WAIT_S)
        return found

    def delete(self, revision_id: str) -> None:
        self._index.delete(revision_id)
        self._stage.erased.set()

    def dense(self, *arguments: Any) -> Matches:
        if self._stage.on_stage:
            self._stage.begun.set()
            assert self._stage.erased.wait(_WAIT_S)
        return self._index.dense(*arguments)


async def test_a_search_that_began_before_finds_what_came_in_its_place(storage: Storage, ingest: Any) -> None:
    staged = Staged(storage.engine)
    eraser = Eraser(storage.database, storage.blobs, staged)
    searcher = Searcher.unobserved(storage.database, staged, storage.models, SearchSettings())
    store = await ingest.store()
    async with working(dataclasses.replace(storage, engine=staged, eraser=eraser)):
        await ingest.completed(store, await ingest.attach(store, "a.md", "The old text."))
        staged.on_stage = True
        await ingest.attach(store, "a.md", "The new text.")
        assert await asyncio.to_thread(staged.stored.wait, _WAIT_S)
        (hit,) = (await searcher.search("p", store.id, Query(("text",), limit=5))).hits
    assert hit.chunk.text == "The new text."


async def test_a_revision_that_came_and_went_meanwhile_is_noticed(storage: Storage, ingest: Any) -> None:
    store = await ingest.store()
    first = await ingest.attach(store, "a.md", "The text.")
    await ingest.attach(store, "a.md", "A newer text.")
    async with storage.database.write() as session:
        await session.execute(update(Revision).values(has_points=True))
        await session.execute(update(Revision).where(Revision.id == first.id).values(state=RevisionState.CURRENT))
    take = partial(visibility.view, project="p", store_id=store.id)
    before = await storage.database.snapshot(take)
    assert await settled(storage, before)
    async with storage.database.write() as session:
        await session.execute(update(Revision).values(state=RevisionState.SUPERSEDED))
    assert not await settled(storage, before)
    assert await settled(storage, await storage.database.snapshot(take))


async def settled(storage: Storage, view: visibility.View) -> bool:
    return (await storage.database.snapshot(partial(visibility.sighting, view=view, chunk_ids=[]))).settled
