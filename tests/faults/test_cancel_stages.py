"""Work can be cancelled at every stage: it is `cancelled` at once, nothing is embedded afterwards, no point is left."""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.settings import Settings
from api.state import Storage, open_storage, working
from indexes.catalog.tables import Revision, RevisionState
from indexes.engines.qdrant_edge import QdrantEdgeIndex
from indexes.manifest import Manifest
from indexes.settings import EmbeddingSettings
from ingestion.children import Children
from ingestion.defaults import default_manifest
from ingestion.intake import Upload, Wanted
from ingestion.settings import WorkerSettings
from ingestion.vectors import VectorMaker

STAGES: dict[str, tuple[type, str]] = {
    "parsing": (Children, "parse"),
    "chunking": (Children, "chunk"),
    "embedding": (VectorMaker, "vectors"),
    "indexing": (QdrantEdgeIndex, "upsert"),
}


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """With leases that are renewed often: that is when a worker hears of a cancellation."""
    settings = Settings(
        home=tmp_path / "home",
        embedding=EmbeddingSettings(model="hashing-256"),
        worker=WorkerSettings(parsers=1, reconcile_s=0.1, retry_delay_s=0, lease_s=2, batch_chunks=4),
    )
    async with open_storage(settings) as opened:
        yield opened


class Gate:
    """Holds whoever comes to one step of the work, for as long as it is shut."""

    def __init__(self, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.passed = 0
        kind, name = STAGES[stage]
        step = getattr(kind, name)

        async def held(*arguments: Any) -> Any:
            self.reached.set()
            while not self.opened.is_set():
                await asyncio.sleep(0.01)
            self.passed += 1
            return await step(*arguments)

        def held_thread(*arguments: Any) -> Any:
            self.reached.set()
            self.opened.wait()
            self.passed += 1
            return step(*arguments)

        monkeypatch.setattr(kind, name, held if asyncio.iscoroutinefunction(step) else held_thread)

    async def is_reached(self) -> bool:
        return self.reached.is_set()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.02)


class Owner:
    """Attaches two files, one by one or as a batch, and cancels them."""

    def __init__(self, storage: Storage, store: Any, folder: Path) -> None:
        self.storage, self.store, self._folder = storage, store, folder
        self._files: list[str] = []
        self._batch: str | None = None

    async def attach(self, *, batch: bool) -> None:
        for number in range(2):
            data = "\n\n".join(f"# Part {part}\n\n{number} {'word ' * 200}" for part in range(20)).encode()
            path = self._folder / f"{number}"
            path.write_bytes(data)
            upload = Upload(path, hashlib.sha256(data).hexdigest(), len(data), f"{number}.md", "user_data")
            self._files.append((await self.storage.intake.upload("p", upload, None)).id)
        wanted = [Wanted(file, None, {}, None) for file in self._files]
        if batch:
            self._batch = (await self.storage.intake.attach_batch("p", self.store.id, wanted, None)).id
        else:
            for one in wanted:
                await self.storage.intake.attach("p", self.store.id, one, None)

    async def cancel(self) -> None:
        if self._batch is not None:
            await self.storage.intake.cancel_batch("p", self.store.id, self._batch)
        else:
            for file in self._files:
                await self.storage.intake.cancel("p", self.store.id, file)

    async def rows(self) -> list[Revision]:
        async with self.storage.database.read() as session:
            return list(await session.scalars(select(Revision).where(Revision.store_id == self.store.id)))

    async def is_clean(self) -> bool:
        """Whether no worker holds any of it any more, and whatever was written is taken back."""
        return all(row.lease_until < time.time() and not row.has_points for row in await self.rows())

    def points(self, manifest: Manifest, rows: list[Revision]) -> int:
        index = self.storage.engine.create(self.store.live_version, manifest)
        return sum(len(index.chunk_ids(row.id)) for row in rows)


@pytest.mark.parametrize("batch", [False, True], ids=["files", "batch"])
@pytest.mark.parametrize("stage", ["received", *STAGES])
async def test_a_cancelled_stage_ends_and_leaves_nothing(
    storage: Storage, ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, batch: bool
) -> None:
    owner = Owner(storage, await ingest.store(), tmp_path)
    embedding = Gate("embedding", monkeypatch)
    gate = embedding if stage == "embedding" else Gate(stage, monkeypatch) if stage != "received" else None
    if gate is not embedding:
        embedding.opened.set()
    await owner.attach(batch=batch)
    if gate is None:
        await owner.cancel()
    async with working(storage):
        if gate is not None:
            await until(gate.is_reached)
            await owner.cancel()
            embedded = embedding.passed
            if stage == "indexing":  # a write that has begun is brought to its end, and taken back
                gate.opened.set()
        else:
            embedded = 0
        assert {row.state for row in await owner.rows()} == {RevisionState.CANCELLED}
        await until(owner.is_clean)
        rows = await owner.rows()
        assert {row.state for row in rows} == {RevisionState.CANCELLED}
        assert embedding.passed == embedded, "text was embedded after it was cancelled"
        assert owner.points(await default_manifest(storage.models), rows) == 0
        if gate is not None:
            gate.opened.set()
