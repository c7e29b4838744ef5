"""A worker outlives whatever goes wrong around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from api.settings import Settings
from api.state import Storage, open_storage, working
from indexes.catalog import stores
from indexes.catalog.tables import Store
from indexes.settings import EmbeddingSettings
from ingestion.defaults import default_manifest
from ingestion.intake import NewStore, Upload, Wanted
from ingestion.pipeline import Pipeline
from ingestion.reconcile import Reconciler
from ingestion.settings import WorkerSettings


@asynccontextmanager
async def storage_at(home: Path) -> AsyncIterator[Storage]:
    settings = Settings(
        home=home,
        embedding=EmbeddingSettings(model="hashing-256"),
        worker=WorkerSettings(parsers=1, reconcile_s=0.1, retry_delay_s=0),
    )
    async with open_storage(settings) as storage:
        yield storage


async def new_store(storage: Storage) -> Store:
    manifest = await default_manifest(storage.models)
    return await storage.intake.create_store("p", NewStore("s", None, {}, None, manifest), [], None)


async def attach(storage: Storage, store: Store, folder: Path, text: str) -> None:
    path = folder / f"{abs(hash(text))}.txt"
    path.write_text(text)
    upload = Upload(path, f"{hash(text)}", len(text), path.name, "user_data")
    file = await storage.intake.upload("p", upload, None)
    await storage.intake.attach("p", store.id, Wanted(file.id, None, {}, None), None)


async def completed(storage: Storage, store: Store, count: int) -> None:
    async with asyncio.timeout(20):
        while True:
            async with storage.database.read() as session:
                counts = (await stores.counts(session, [store.id]))[store.id]
            if counts.completed == count:
                return
            await asyncio.sleep(0.05)


async def test_errors_that_nobody_foresaw_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    async with storage_at(tmp_path / "home") as storage, working(storage):
        store = await new_store(storage)
        await attach(storage, store, tmp_path, "The gate opens at six.")
        await completed(storage, store, 1)
    assert set(broken.values()) == {0}


async def test_a_store_may_be_deleted_by_several_at_once(tmp_path: Path) -> None:
    async with storage_at(tmp_path / "home") as storage, working(storage):
        for number in range(5):
            store = await new_store(storage)
            await attach(storage, store, tmp_path, f"Text number {number}.")
            await completed(storage, store, 1)
            reconciler = Reconciler(storage.database, storage.eraser, storage.intake)
            await asyncio.gather(
                storage.intake.delete_store(store), reconciler.once(), storage.intake.delete_store(store)
            )
            async with storage.database.read() as session:
                assert await session.get(Store, store.seq) is None


async def test_the_work_goes_on_when_the_queue_loses_everything(tmp_path: Path) -> None:
    async with storage_at(tmp_path / "home") as storage, working(storage):
        store = await new_store(storage)
        redis = Redis(unix_socket_path=storage.queue.settings.unix_socket_path)
        for number in range(5):
            await attach(storage, store, tmp_path, f"Document number {number}.")
            await redis.flushall()
        await redis.aclose()
        await completed(storage, store, 5)
