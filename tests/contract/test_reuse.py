"""What was parsed or embedded once is not parsed or embedded again (I5)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.state import Storage, working
from indexes.catalog.tables import Revision, RevisionState, Store
from ingestion.children import Children
from ingestion.intake import Wanted

SECTIONS = 10


def handbook(changed: int | None = None) -> str:
    words = " ".join(f"word{number}" for number in range(150))
    lines = [f"# Part {part}\n\n{'New' if part == changed else 'Old'} rule {part}. {words}" for part in range(SECTIONS)]
    return "\n\n".join(lines)


@asynccontextmanager
async def counted(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """A running worker, and the names of the files it has parsed so far."""
    parsed: list[str] = []
    whole = Children.parse

    async def parse(self: Children, path: Path, filename: str) -> Any:
        parsed.append(filename)
        return await whole(self, path, filename)

    monkeypatch.setattr(Children, "parse", parse)
    async with working(storage):
        yield parsed


async def current(storage: Storage, store: Store) -> Revision:
    async with storage.database.read() as session:
        query = select(Revision).where(Revision.store_id == store.id, Revision.state == RevisionState.CURRENT)
        return (await session.scalars(query)).one()


async def test_a_changed_document_embeds_what_changed(
    ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counted(storage, monkeypatch) as parsed:
        store = await ingest.store()
        await ingest.completed(store, await ingest.attach(store, "h.md", handbook()))
        await ingest.completed(store, await ingest.attach(store, "h.md", handbook(changed=3)))
        revision = await current(storage, store)
        assert revision.chunks_total == SECTIONS
        assert revision.chunks_reused == SECTIONS - 1
        assert parsed == ["h.md", "h.md"]


async def test_the_same_bytes_elsewhere_cost_nothing(
    ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counted(storage, monkeypatch) as parsed:
        first, second = await ingest.store(), await ingest.store()
        await ingest.completed(first, await ingest.attach(first, "h.md", handbook()))
        await ingest.completed(second, await ingest.attach(second, "h.md", handbook()))
        assert (await current(storage, second)).chunks_reused == SECTIONS
        assert parsed == ["h.md"]


async def test_another_project_is_not_looked_at(ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with counted(storage, monkeypatch) as parsed:
        mine, theirs = await ingest.store(), await ingest.store(project="other")
        await ingest.completed(mine, await ingest.attach(mine, "h.md", handbook()))
        await ingest.completed(theirs, await ingest.attach(theirs, "h.md", handbook(), project="other"))
        assert (await current(storage, theirs)).chunks_reused == 0
        assert parsed == ["h.md", "h.md"]


async def test_the_same_upload_again_is_no_work(ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with counted(storage, monkeypatch) as parsed:
        store = await ingest.store()
        await ingest.completed(store, await ingest.attach(store, "h.md", handbook()))
        before = await current(storage, store)
        file = await ingest.attach(store, "h.md", handbook())
        after = await current(storage, store)
        assert (after.id, after.file_id, after.attempts) == (before.id, file.id, 1)
        assert parsed == ["h.md"]
        again = await storage.intake.attach("p", store.id, Wanted(file.id, None, {}, None), None)
        assert again.id == before.id


async def test_the_same_text_under_another_heading_is_embedded_anew(
    ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = " ".join(f"Sentence {number} says something of its own." for number in range(120))
    async with counted(storage, monkeypatch):
        store = await ingest.store()
        await ingest.completed(store, await ingest.attach(store, "h.md", f"# Leave\n\n{body}"))
        await ingest.completed(store, await ingest.attach(store, "h.md", f"# Travel\n\n{body}"))
        assert (await current(storage, store)).chunks_reused == 0
        await ingest.completed(store, await ingest.attach(store, "h.md", f"# Travel\n\n{body} The end."))
        revision = await current(storage, store)
        assert revision.chunks_total - 1 == revision.chunks_reused > 1
