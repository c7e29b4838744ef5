"""A worker outlives whatever goes wrong around it."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from api.state import Storage, working
from indexes.catalog.tables import Store
from ingestion.pipeline import Pipeline
from ingestion.reconcile import Reconciler


async def test_errors_that_nobody_foresaw_end_nothing(
    ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"claim": 3, "_advance": 2, "once": 3}

    def breaking(kind: type, name: str) -> None:
        whole = getattr(kind, name)

        async def maybe(self: Any, *arguments: Any) -> Any:
            if broken[name] > 0:
                broken[name] -= 1
                raise RuntimeError(f"{name} is broken")
            return await whole(self, *arguments)

        monkeypatch.setattr(kind, name, maybe)

    breaking(Pipeline, "claim")
    breaking(Pipeline, "_advance")
    breaking(Reconciler, "once")
    async with working(storage):
        store = await ingest.store()
        await ingest.completed(store, await ingest.attach(store, "a.txt", "The gate opens at six."))
    assert set(broken.values()) == {0}


async def test_a_store_may_be_deleted_by_several_at_once(ingest: Any, storage: Storage) -> None:
    async with working(storage):
        for number in range(5):
            store = await ingest.store()
            await ingest.completed(store, await ingest.attach(store, "a.txt", f"Text number {number}."))
            reconciler = Reconciler(storage.database, storage.eraser, storage.intake, retention_s=60)
            await asyncio.gather(
                storage.intake.delete_store(store), reconciler.once(), storage.intake.delete_store(store)
            )
            async with storage.database.read() as session:
                assert await session.get(Store, store.seq) is None


async def test_the_work_goes_on_when_the_queue_loses_everything(ingest: Any, storage: Storage) -> None:
    async with working(storage):
        store = await ingest.store()
        redis = Redis(unix_socket_path=storage.queue.settings.unix_socket_path)
        files = []
        for number in range(5):
            files.append(await ingest.attach(store, f"{number}.txt", f"Document number {number}."))
            await redis.flushall()
        await redis.aclose()
        await ingest.completed(store, *files)
