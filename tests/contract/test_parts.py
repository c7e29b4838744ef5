"""What is in mails and archives becomes documents of their own, and goes with what it was in."""

import asyncio
import contextlib
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api import presenting
from api.state import Storage, working
from indexes.blobs import DirectoryBlobs
from indexes.catalog import deleting, parts, snapshots, stores, versions
from indexes.catalog.database import Database
from indexes.catalog.history import Because
from indexes.catalog.parts import Attached, Part
from indexes.catalog.tables import Batch, ChunkRow, File, Revision, RevisionState, Store
from indexes.errors import Unavailable
from indexes.ids import Kind, new_id
from ingestion.intake import Wanted
from ingestion.parts import MAX_KEY_CHARS, part_key

CURRENT, FAILED, SUPERSEDED = RevisionState.CURRENT, RevisionState.FAILED, RevisionState.SUPERSEDED
THREE = {"hr/a.md": "Alpha rule.", "hr/b.md": "Beta rule.", "c.md": "Gamma rule."}


def zipped(members: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def mail(attachments: Mapping[str, bytes]) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Minutes"
    message.set_content("See the attachments.")
    for name, data in attachments.items():
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return bytes(message)


@pytest.fixture
async def worker(storage: Storage) -> AsyncIterator[None]:
    async with working(storage):
        yield


async def rows(storage: Storage, store: Store) -> list[Revision]:
    async with storage.database.read() as session:
        query = select(Revision).where(Revision.store_id == store.id, Revision.state != RevisionState.DELETED)
        return list(await session.scalars(query.order_by(Revision.seq)))


async def settled(storage: Storage, store: Store, file: File) -> dict[str, Revision]:
    """The newest revision of each key, once this file and everything else has come to its end."""
    async with asyncio.timeout(30):
        while True:
            found = await rows(storage, store)
            mine = [row for row in found if row.file_id == file.id]
            if mine and all(row.state != RevisionState.PENDING for row in found):
                return {row.key: row for row in found}
            await asyncio.sleep(0.05)


async def left(storage: Storage) -> dict[str, int]:
    """What is there of revisions, chunks, files, blobs and points, in all."""
    async with storage.database.read() as session:
        counts = {
            table.__tablename__: await session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Revision, ChunkRow, File)
        }
        store_ids = list(await session.scalars(select(Store.id)))
        held_in = [version for store_id in store_ids for version in await versions.kept(session, store_id)]
        ids = list(await session.scalars(select(Revision.id)))
    assert isinstance(storage.blobs, DirectoryBlobs)
    root = storage.settings.home / "blobs"
    counts["blobs"] = sum(path.is_file() for area in ("files", "texts") for path in (root / area).rglob("*"))
    indexes = [storage.engine.open(version.id, version.manifest) for version in held_in]
    return counts | {"points": sum(len(index.chunk_ids(ident)) for index in indexes for ident in ids)}


async def until(storage: Storage, **expected: int) -> None:
    """Wait for what is cleared up after readers see it no more."""
    found: dict[str, int] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while {name: found.get(name) for name in expected} != expected:
                await asyncio.sleep(0.05)
                found = await left(storage)
    assert {name: found[name] for name in expected} == expected


async def test_attachments_of_a_mail_fail_alone(ingest: Any, storage: Storage, worker: None) -> None:
    store = await ingest.store()
    data = mail({"notes.md": b"# Notes\n\nBring the keys.", "broken.pdf": b"%PDF-1.7\nnothing else"})
    file = await ingest.attach(store, "minutes.eml", data)
    found = await settled(storage, store, file)
    parent, notes, broken = (found[f"minutes.eml{name}"] for name in ("", "/notes.md", "/broken.pdf"))
    assert [row.state for row in (parent, notes, broken)] == [CURRENT, CURRENT, FAILED]
    assert broken.error_code == "invalid_file"
    assert (notes.parent_id, notes.filename, parent.parent_id) == (parent.id, "notes.md", None)
    async with storage.database.read() as session:
        parents = await parts.parents(session, list(found.values()))
        kept = (await session.scalars(select(File).where(File.id == notes.file_id))).one()
    assert (kept.project, kept.bytes) == ("p", len(b"# Notes\n\nBring the keys."))
    shown = presenting.store_file(notes, parent=parents[notes.parent_id])
    assert (shown.parent_key, shown.parent_file_id) == ("minutes.eml", file.id)
    assert presenting.store_file(parent, parent=parents.get(None)).parent_key is None


async def test_an_archive_is_a_batch_with_the_attributes_of_its_parent(
    ingest: Any, storage: Storage, worker: None
) -> None:
    store, other = await ingest.store(), await ingest.store()
    file = await ingest.attach(other, "all.zip", zipped(THREE))
    await settled(storage, other, file)
    wanted = [Wanted(file.id, None, {"team": "hr"}, None)]
    batch: Batch = await storage.intake.attach_batch("p", store.id, wanted, None)
    found = await settled(storage, store, file)
    assert set(found) == {"all.zip", *(f"all.zip/{name}" for name in THREE)}
    assert {row.state for row in found.values()} == {CURRENT}
    async with storage.database.read() as session:
        assert (await stores.batch_counts(session, [batch.id]))[batch.id].completed == 1 + len(THREE)
    await storage.intake.set_attributes("p", store.id, file.id, {"team": "it"})
    assert [(row.attributes, row.attributes_synced) for row in await rows(storage, store)] == [
        ({"team": "it"}, True)
    ] * 4


async def test_a_newer_archive_takes_the_place_of_the_older(ingest: Any, storage: Storage, worker: None) -> None:
    store = await ingest.store()
    before = await settled(storage, store, await ingest.attach(store, "z.zip", zipped(THREE)))
    changed = {"hr/a.md": THREE["hr/a.md"], "hr/b.md": "Another rule."}
    after = await settled(storage, store, await ingest.attach(store, "z.zip", zipped(changed)))
    parent = after["z.zip"]
    assert after["z.zip/hr/a.md"].id == before["z.zip/hr/a.md"].id, "the same bytes are not worked on again"
    assert after["z.zip/hr/a.md"].attempts == 1
    assert after["z.zip/hr/b.md"].id != before["z.zip/hr/b.md"].id
    assert {row.parent_id for key, row in after.items() if key != "z.zip"} == {parent.id}
    assert "z.zip/c.md" not in after
    states = {row.id: row.state for row in await rows(storage, store)}
    assert states[before["z.zip/hr/b.md"].id] == SUPERSEDED
    # Two archives, the parts that are current, and the one that is history; the texts of three.
    await until(storage, revisions=5, files=5, blobs=8, points=3)
    # Something else under the key takes the parts along.
    plain = await settled(storage, store, await ingest.attach(store, "plain.md", "No archive.", key="z.zip"))
    assert {key for key, row in plain.items() if row.state == CURRENT} == {"z.zip"}
    await until(storage, revisions=4, files=4, points=1)


async def test_parts_that_a_snapshot_names_come_back_with_it(ingest: Any, storage: Storage, worker: None) -> None:
    store = await ingest.store()
    await settled(storage, store, await ingest.attach(store, "z.zip", zipped(THREE)))
    async with storage.database.write() as session:
        await snapshots.take(session, store.id, "before")
    changed = {"hr/a.md": THREE["hr/a.md"], "hr/b.md": "Another rule."}
    await settled(storage, store, await ingest.attach(store, "z.zip", zipped(changed)))
    states = {row.key: row.state for row in await rows(storage, store) if row.key == "z.zip/c.md"}
    assert states == {"z.zip/c.md": SUPERSEDED}
    async with storage.database.write() as session:
        await snapshots.restore(session, await snapshots.get(session, store.id, "before"), Because("owner"))
    assert {row.key for row in await rows(storage, store) if row.state == CURRENT} == {
        "z.zip",
        *(f"z.zip/{name}" for name in THREE),
    }


@pytest.mark.parametrize("how", ["file", "key", "store"])
async def test_nothing_is_left_of_what_is_deleted(ingest: Any, storage: Storage, worker: None, how: str) -> None:
    store = await ingest.store()
    old = await ingest.attach(store, "z.zip", zipped(THREE))
    await settled(storage, store, old)
    file = await ingest.attach(store, "z.zip", zipped({**THREE, "hr/b.md": "Another rule."}))
    await settled(storage, store, file)
    assert (await left(storage))["files"] == 2 + len(THREE) + 1
    match how:
        case "file":
            receipt = await storage.intake.delete_file(file) + await storage.intake.delete_file(old)
        case "key":
            receipt = await storage.intake.delete_document("p", store.id, "z.zip")
        case _:
            receipt = await storage.intake.delete_store(store)
    assert receipt.complete
    uploaded = 0 if how == "file" else 2
    assert (receipt.revisions.found, receipt.files.found) == (2 + len(THREE) + 1, len(THREE) + 1 + (2 - uploaded))
    expected = {"revisions": 0, "chunks": 0, "files": uploaded, "blobs": uploaded, "points": 0}
    assert await left(storage) == expected


async def test_a_part_is_deleted_alone_and_stays_where_it_is_used(ingest: Any, storage: Storage, worker: None) -> None:
    store, other = await ingest.store(), await ingest.store()
    file = await ingest.attach(store, "z.zip", zipped(THREE))
    found = await settled(storage, store, file)
    used = found["z.zip/c.md"].file_id
    await storage.intake.attach("p", other.id, Wanted(used, "mine.md", {}, None), None)
    await settled(storage, other, File(id=used))
    assert (await storage.intake.detach("p", store.id, found["z.zip/hr/a.md"].file_id)).files.found == 1
    assert (await rows(storage, store))[0].state == CURRENT
    receipt = await storage.intake.detach("p", store.id, file.id)
    assert (receipt.complete, receipt.revisions.found, receipt.files.found) == (True, 3, 1)
    assert [row.file_id for row in await rows(storage, other)] == [used]
    assert (await left(storage))["files"] == 2


async def test_attaching_parts_twice_is_attaching_them_once(ingest: Any, storage: Storage, worker: None) -> None:
    store = await ingest.store()
    file = await ingest.attach(store, "z.zip", zipped(THREE))
    parent = (await settled(storage, store, file))["z.zip"]
    before = await left(storage)
    held = [row for row in await rows(storage, store) if row.parent_id is not None]
    again = [Part(row.key, row.sha256, File(id=new_id(Kind.FILE))) for row in held[:1]]
    again += [Part(row.key, row.sha256, None) for row in held[1:]]
    async with storage.database.write() as session:
        attached = await parts.attach(session, parent, again)
        assert (attached.due, attached.gone.revisions) == ([], [])
    assert await left(storage) == before
    with pytest.raises(Unavailable):
        async with storage.database.write() as session:
            await parts.attach(session, parent, [*again, Part("z.zip/unseen", "0" * 64, None)])
    assert await left(storage) == before


async def test_a_crash_between_bytes_and_rows_leaves_neither(
    ingest: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tries = parts.attach, []

    async def attach(session: Any, parent: Revision, found: Any) -> Any:
        tries.append(await left(storage))
        attached = await whole(session, parent, found)
        if parent.parent_id is None and len(tries) < 3:
            raise RuntimeError
        return attached

    monkeypatch.setattr(parts, "attach", attach)
    async with working(storage):
        store = await ingest.store()
        found = await settled(storage, store, await ingest.attach(store, "z.zip", zipped(THREE)))
    assert {row.state for row in found.values()} == {CURRENT}
    assert len(tries) == 3
    assert tries[0] == tries[1] == tries[2]
    assert (await left(storage))["files"] == 1 + len(THREE)


async def test_parts_follow_their_parents_on_both_databases(database: Database) -> None:
    store = Store(id=new_id(Kind.STORE), project="p", live_version="ixv_1")

    def file(name: str) -> File:
        return File(id=f"file-{name}", project="p", sha256=name, bytes=1, filename=name, purpose="user_data")

    async def completed(session: AsyncSession, name: str, found: list[Part]) -> Attached:
        """Make the next revision of the key current, with parts that are current at once."""
        await session.execute(update(Revision).where(Revision.key == "z").values(state=SUPERSEDED))
        parent = Revision(id=name, store_id=store.id, file_id=f"file-{name}", sha256=name, filename="z", key="z")
        parent.state = CURRENT
        session.add_all([parent, file(name)])
        await session.flush()
        return await parts.attach(session, parent, found)

    async with database.write() as session:
        session.add(store)
        await session.flush()
        first = await completed(session, "v1", [Part(f"z/{name}", name, file(name)) for name in "abc"])
        assert [row.key for row in first.due] == ["z/a", "z/b", "z/c"]
        first.due[0].state, first.due[1].state, first.due[2].state = FAILED, CURRENT, CURRENT
    async with database.write() as session:
        second = await completed(session, "v2", [Part("z/a", "a", None), Part("z/b", "new", file("new"))])
        assert [(row.key, row.state) for row in second.due] == [("z/b", RevisionState.PENDING), ("z/a", "pending")]
        assert [row.key for row in second.gone.revisions] == ["z/c"]
        assert [row.id for row in second.gone.files] == ["file-c"]
    async with database.write() as session:
        # The older z/b is still current: the newer is in progress. Nothing of it may outlive the archive.
        doomed = await deleting.of_file(session, store.id, "file-v2")
        assert sorted(row.key for row in doomed.revisions) == ["z", "z/a", "z/b", "z/b"]
        assert {row.id for row in doomed.files} == {"file-a", "file-b", "file-new"}
    async with database.read() as session:
        assert await session.scalar(select(func.count()).where(Revision.state != RevisionState.DELETED)) == 1


def test_keys_of_parts_are_never_too_long() -> None:
    assert part_key("mail.eml", "a/b.txt") == "mail.eml/a/b.txt"
    long, name = "x" * 500, "folder/" * 50 + "name.txt"
    keys = [part_key(long + end, name) for end in "ab"]
    assert {len(key) for key in keys} == {MAX_KEY_CHARS}
    assert keys[0] != keys[1]
    assert all(key.endswith("/" + name) for key in keys)
