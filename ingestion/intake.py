"""What content owners do: upload, attach, change, cancel, delete. Each call is one transaction and what follows."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from indexes.blobs import Blobs
from indexes.catalog import deleting, files, idempotency, revisions, stores, versions, work
from indexes.catalog.attaching import attach_all
from indexes.catalog.database import Database
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.revisions import Attachment
from indexes.catalog.tables import Batch, File, IndexVersion, Revision, RevisionState, Store, VersionState
from indexes.errors import Conflict, NotFound, StorageFull
from indexes.ids import Kind, new_id
from indexes.index import Engine
from indexes.manifest import Chunking, Manifest
from indexes.model import Attributes
from ingestion.erase import Eraser, file_key
from ingestion.queue import Queue
from ingestion.receipt import Receipt
from ingestion.threads import to_its_end

_SYNC_S = 60.0
"""How long after a crash another may go on bringing attributes to the indexes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that have arrived in a local file, with what is known of them."""

    path: Path
    sha256: str
    bytes: int
    filename: str
    purpose: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to attach, as asked for: the key defaults to the file's name."""

    file_id: str
    key: str | None
    attributes: Attributes
    chunking: Chunking | None


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store to make. `gate` are its thresholds for new index versions, as far as they are not the defaults."""

    name: str | None
    description: str | None
    meta: dict[str, str]
    expires_after_days: int | None
    manifest: Manifest
    gate: dict[str, Any] = field(default_factory=dict)


class Intake:
    """The writing side of stores and files, for one process."""

    def __init__(self, database: Database, blobs: Blobs, engine: Engine, queue: Queue, eraser: Eraser) -> None:
        self._database = database
        self._blobs = blobs
        self._engine = engine
        self._queue = queue
        self._eraser = eraser

    async def upload(self, project: str, upload: Upload, request: Idempotency | None) -> File:
        """Keep the bytes, then the row: when this returns the file survives anything (I1)."""
        async with self._database.read() as session:
            known = await idempotency.earlier(session, project, request)
            if known is not None:
                return await files.get(session, project, known)
        file = File(
            id=new_id(Kind.FILE),
            project=project,
            sha256=upload.sha256,
            bytes=upload.bytes,
            filename=upload.filename,
            purpose=upload.purpose,
            expires_at=upload.expires_at,
        )
        await asyncio.to_thread(self._blobs.add, upload.path, file_key(file.id))
        try:
            async with self._database.write() as session:
                session.add(file)
                idempotency.remember(session, project, request, file.id)
        except (Conflict, StorageFull):  # nothing was committed: after other errors the sweeper looks
            await asyncio.to_thread(self._blobs.delete, file_key(file.id))
            raise
        return file

    async def create_store(
        self, project: str, new: NewStore, wanted: Sequence[Wanted], request: Idempotency | None
    ) -> Store:
        """Make a store with its first index version, live from the start, and attach files to it."""
        async with self._database.write() as session:
            known = await idempotency.earlier(session, project, request)
            if known is not None:
                return await stores.get(session, project, known)
            store_id, version_id = new_id(Kind.STORE), new_id(Kind.VERSION)
            store = Store(
                id=store_id,
                project=project,
                name=new.name,
                description=new.description,
                meta=new.meta,
                expires_after_days=new.expires_after_days,
                live_version=version_id,
                gate=new.gate,
            )
            session.add(store)
            await session.flush()
            version = IndexVersion(
                id=version_id,
                store_id=store_id,
                state=VersionState.LIVE,
                manifest=new.manifest.to_json(),
                manifest_hash=new.manifest.hash,
                promoted_at=store.created_at,
            )
            session.add(version)
            idempotency.remember(session, project, request, store_id)
            found = await files.get_many(session, project, [one.file_id for one in wanted])
            attached = await attach_all(session, store_id, [_attachment(one, found) for one in wanted])
        self._queue.wake(attached)
        return store

    async def attach(self, project: str, store_id: str, wanted: Wanted, request: Idempotency | None) -> Revision:
        """Put one file on its way into a store."""
        async with self._database.write() as session:
            await stores.use(session, project, store_id)
            found = await files.get_many(session, project, [wanted.file_id])
            if await idempotency.earlier(session, project, request):
                return await revisions.get(session, store_id, wanted.file_id)
            revision = await revisions.attach(session, store_id, _attachment(wanted, found))
            idempotency.remember(session, project, request, revision.id)
        await self._follow_up([revision])
        return revision

    async def attach_batch(
        self, project: str, store_id: str, wanted: Sequence[Wanted], request: Idempotency | None
    ) -> Batch:
        """Put many files on their way, all or none."""
        async with self._database.write() as session:
            await stores.use(session, project, store_id)
            known = await idempotency.earlier(session, project, request)
            if known is not None:
                return await stores.batch(session, store_id, known)
            found = await files.get_many(session, project, [one.file_id for one in wanted])
            batch = Batch(id=new_id(Kind.BATCH), store_id=store_id)
            session.add(batch)
            await session.flush()
            attached = await attach_all(session, store_id, [_attachment(one, found) for one in wanted], batch.id)
            idempotency.remember(session, project, request, batch.id)
        await self._follow_up(attached)
        return batch

    async def set_attributes(self, project: str, store_id: str, file_id: str, attributes: Attributes) -> Revision:
        """Replace the attributes of a document and of its parts, in the catalog and in every index version."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            revision = await revisions.get(session, store_id, file_id)
            # The one that answers may be older than the one on its way: both are this document.
            same = [revision, *await revisions.others_listed(session, revision)]
            changed = await revisions.with_parts(session, same)
            for one in changed:
                revisions.change_attributes(one, attributes)
        await self._follow_up(changed)
        return revision

    async def detach(self, project: str, store_id: str, file_id: str) -> Receipt:
        """Take a file out of a store, with its parts. When this returns no answer holds it any more (I4)."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            await revisions.get(session, store_id, file_id)
            doomed = await deleting.of_file(session, store_id, file_id)
        return await self._eraser.doomed(doomed)

    async def delete_document(self, project: str, store_id: str, key: str) -> Receipt:
        """Take whatever has this key, or had it, out of a store, with its parts (I4). Raises NotFound."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            doomed = await deleting.of_key(session, store_id, key)
        if not doomed.revisions:
            raise NotFound(f"There is no document under the key '{key}' in this store.", param="key")
        return await self._eraser.doomed(doomed)

    async def retry(self, project: str, store_id: str, file_id: str) -> Revision:
        """Put failed or cancelled work back in line. Raises Conflict where it is neither."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            revision = await revisions.retry(session, await revisions.get(session, store_id, file_id))
        self._queue.wake([revision])
        return revision

    async def retry_batch(self, project: str, store_id: str, batch_id: str) -> Batch:
        """Put what of a batch failed back in line."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            batch = await stores.batch(session, store_id, batch_id)
            again = await revisions.retry_batch(session, batch_id)
        self._queue.wake(again)
        return batch

    async def cancel(self, project: str, store_id: str, file_id: str) -> Revision:
        """Stop the work on a file. Raises Conflict where it is not in progress."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            return await revisions.cancel(session, await revisions.get(session, store_id, file_id))

    async def cancel_batch(self, project: str, store_id: str, batch_id: str) -> Batch:
        """Stop what of a batch is not finished."""
        async with self._database.write() as session:
            await stores.get(session, project, store_id)
            batch = await stores.batch(session, store_id, batch_id)
            batch.cancelled_at = batch.cancelled_at or time.time()
            await revisions.cancel_batch(session, batch_id)
        return batch

    async def delete_file(self, file: File) -> Receipt:
        """Delete a file's bytes and everything made from them, in every store, with what was in it."""
        async with self._database.write() as session:
            await files.mark_deleting(session, file.id)
            doomed = await deleting.of_file(session, None, file.id)
        return await self._eraser.doomed(replace(doomed, files=[*doomed.files, file]))

    async def delete_store(self, store: Store) -> Receipt:
        """Delete a store with its documents, versions and history; the files stay that were uploaded.

        Where a worker still writes, the reconciler comes back when its lease has ended.
        """
        async with self._database.write() as session:
            await stores.mark_deleting(session, store.id)
            doomed = await deleting.of_store(session, store.id)
        return await self._eraser.store(store, doomed)

    async def expire_store(self, store: Store) -> None:
        """Delete a store past its `expires_after`, unless it was used meanwhile, or one whose deletion was begun."""
        async with self._database.write() as session:
            if not await stores.expire(session, store.id):
                return
        await self.delete_store(store)

    async def sync_attributes(self, revision: Revision) -> None:
        """Bring the points of a current revision to its newest attributes.

        One at a time, or the older of two changes could reach the index last. Where another is at it, the reconciler
        comes back.
        """
        async with self._database.write() as session:
            lease = await work.hold(session, revision, "attributes", _SYNC_S)
            if lease is None:
                return
            attributes = await work.attributes(session, lease)
            held_in = await versions.kept(session, revision.store_id)
        for version in held_in:
            with contextlib.suppress(NotFound):
                index = await asyncio.to_thread(self._engine.open, version.id, version.manifest)
                await to_its_end(index.set_attributes, revision.id, attributes)
        async with self._database.write() as session:
            await work.attributes_synced(session, revision.id, attributes)
            await work.let_go(session, lease)

    async def _follow_up(self, attached: Sequence[Revision]) -> None:
        """After the commit: start the new work, and tell indexes of attributes that changed on finished documents."""
        self._queue.wake([revision for revision in attached if revision.state == RevisionState.PENDING])
        for revision in attached:
            if revision.state == RevisionState.CURRENT and not revision.attributes_synced:
                await self.sync_attributes(revision)


def _attachment(wanted: Wanted, found: dict[str, File]) -> Attachment:
    file = found[wanted.file_id]
    return Attachment(file, wanted.key or file.filename, wanted.attributes, wanted.chunking)
