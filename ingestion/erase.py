"""Takes a revision out of every index version, then out of the catalog and the blobs, and says what is left."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from indexes.blobs import Blobs, blob_key
from indexes.catalog import chunks, erasing, files, holdings, promotion, responses, revisions, stores, versions
from indexes.catalog.database import Database
from indexes.catalog.deleting import Doomed, DoomedStore
from indexes.catalog.erasing import Rows
from indexes.catalog.responses import Made
from indexes.catalog.tables import File, IndexVersion, Revision, RevisionState, Store
from indexes.catalog.version_tables import Holding
from indexes.catalog.versions import Version
from indexes.errors import LeaseLost, NotFound, Unavailable
from indexes.index import Engine, Index
from ingestion.leases import kept_alive
from ingestion.receipt import Gone, Receipt
from ingestion.threads import to_its_end

_GRACE_TRIES = 20
_GRACE_STEP_S = 0.1
_BLOBS_AT_ONCE = 16
_REVISIONS_AT_ONCE = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Found:
    """What was seen of revisions beside their points."""

    rows: Rows
    texts: int


class Eraser:
    """Finishes what deleting and superseding began. Readers stopped seeing the revision before this is called.

    Every step may be repeated: a crash in the middle leaves rows that the reconciler finds. What a worker still holds
    a little later is left to the reconciler too, and the receipt says so.
    """

    def __init__(self, database: Database, blobs: Blobs, engine: Engine) -> None:
        self._database = database
        self._blobs = blobs
        self._engine = engine

    async def revision(self, revision: Revision) -> Receipt:
        """Erase the points of a revision; of a deleted or superseded one the chunks and the text; a deleted row.

        Raises Unavailable where an index still holds points afterwards.
        """
        redacted = Gone()
        if revision.state == RevisionState.DELETED:
            redacted = await self._redacted(responses.of_revision(revision.id))
        look = self._look_at([revision.id])
        before = await look()
        async with self._database.read() as session:
            held_in = await versions.undeleted(session, revision.store_id)
        await self._let_go(partial(erasing.is_revision_held, revision_id=revision.id))
        async with self._database.write() as session:
            lease = await erasing.begin(session, revision)
        if lease is not None:
            # An engine may take longer than the lease; whoever completed the revision then would lose its points.
            with suppress(LeaseLost):  # what is left then is in the receipt, and the reconciler comes back to it
                async with kept_alive(self._database, partial(erasing.renew, lease=lease), erasing.LEASE_S):
                    await to_its_end(self._erase_points, held_in, revision.id)
                    if revision.state in (RevisionState.DELETED, RevisionState.SUPERSEDED):
                        await asyncio.to_thread(self._blobs.delete, text_key(revision.id))
                async with self._database.write() as session:
                    await erasing.finish(session, lease, revision.state)
        points = await asyncio.to_thread(self._points, held_in, [revision.id])
        return _receipt(before, await look(), redacted, points)

    async def forgotten(self, revision: Revision) -> None:
        """Take back what was written after a deleted revision's row was gone: nobody else knows of it."""
        async with self._database.read() as session:
            if await revisions.exists(session, revision.id):
                return
            held_in = await versions.kept(session, revision.store_id)
        await to_its_end(self._erase_points, held_in, revision.id)
        await asyncio.to_thread(self._blobs.delete, text_key(revision.id))

    async def doomed(self, doomed: Doomed) -> Receipt:
        """Erase revisions, then files, and count all of them, also what the reconciler was quicker to erase."""
        look = self._look_at([revision.id for revision in doomed.revisions])
        before = await look()
        places = asyncio.Semaphore(_REVISIONS_AT_ONCE)

        async def erased(revision: Revision) -> Receipt:
            async with places:
                return await self.revision(revision)

        each = sum(await asyncio.gather(*map(erased, doomed.revisions)), start=Receipt())
        after = await look()
        return Receipt(
            revisions=Gone(len(doomed.revisions), after.rows.revisions),
            chunks=Gone(before.rows.chunks, after.rows.chunks),
            texts=Gone(before.texts, after.texts),
            files=await self._files(doomed.files),
            responses=each.responses,
            points=each.points,
        )

    async def _files(self, hidden: Sequence[File]) -> Gone:
        """Erase the bytes and rows of files that were hidden before."""
        keys = [file_key(file.id) for file in hidden]
        await asyncio.to_thread(_each, self._blobs.delete, keys)
        async with self._database.write() as session:
            await files.remove(session, [file.id for file in hidden])
        return Gone(len(hidden), sum(await asyncio.to_thread(_each, self._is_there, keys)))

    async def store(self, store: Store, doomed: DoomedStore) -> Receipt:
        """Erase a store with its index versions and the texts of its revisions, unless a worker is still at one.

        Files of parts are erased in any case.
        """
        redacted = await self._redacted(responses.of_store(store.id))
        doomed_ids = doomed.revision_ids
        look = partial(self._look, partial(erasing.rows_of_store, store_id=store.id), doomed_ids)
        before = await look()
        async with self._database.read() as session:
            held_in = await versions.unerased(session, store.id)
        if await self._let_go(partial(erasing.is_store_held, store_id=store.id)):
            for version in held_in:
                await asyncio.to_thread(self._engine.drop, version.id)
            await asyncio.to_thread(_each, self._blobs.delete, map(text_key, doomed_ids))
            async with self._database.write() as session:
                await stores.remove(session, store.id)
        points = await asyncio.to_thread(self._points, held_in, doomed_ids)
        erased = _receipt(before, await look(), redacted, points)
        return erased + Receipt(files=await self._files(doomed.files))

    async def version(self, version: IndexVersion) -> None:
        """Erase what a deleted version holds, and the chunks that no other version of its store shares."""
        await to_its_end(self._engine.drop, version.id)
        async with self._database.write() as session:
            await versions.alone(session, version.store_id)  # no build begins that would share them
            others = {one.manifest.cut for one in await versions.undeleted(session, version.store_id)}
            cut = versions.opened_as(version).manifest.cut
            if cut not in others:
                await chunks.forget_cut(session, version.store_id, cut)
            await promotion.note_erased(session, version.id)

    async def orphan(self, holding: Holding) -> None:
        """Erase points that were written to a version while their revision was being erased."""
        async with self._database.read() as session:
            held_in = await versions.by_id(session, holding.version_id)
        await to_its_end(self._erase_points, held_in, holding.revision_id)
        async with self._database.write() as session:
            await holdings.forget(session, holding.version_id, [holding.revision_id])

    async def _redacted(self, made: Made) -> Gone:
        async with self._database.write() as session:
            found = await responses.redact(session, made)
        async with self._database.read() as session:
            return Gone(found, await responses.unredacted(session, made))

    def _look_at(self, revision_ids: Sequence[str]) -> Callable[[], Awaitable[_Found]]:
        return partial(self._look, partial(erasing.rows_of_revisions, revision_ids=revision_ids), revision_ids)

    async def _look(self, rows: Callable[[AsyncSession], Awaitable[Rows]], revision_ids: Sequence[str]) -> _Found:
        async with self._database.read() as session:
            found = await rows(session)
        texts = await asyncio.to_thread(_each, self._is_there, map(text_key, revision_ids))
        return _Found(found, sum(texts))

    async def _let_go(self, held: Callable[[AsyncSession], Awaitable[bool]]) -> bool:
        """Whether nobody works on it, once a worker had a moment to notice that there is nothing left to do."""
        for _ in range(_GRACE_TRIES):
            async with self._database.read() as session:
                if not await held(session):
                    return True
            await asyncio.sleep(_GRACE_STEP_S)
        return False

    def _erase_points(self, held_in: Sequence[Version], revision_id: str) -> None:
        for version in held_in:
            index = self._opened(version)
            if index is None:
                continue
            index.delete(revision_id)
            if index.chunk_ids(revision_id):
                raise Unavailable(f"Index version {version.id} still holds points of a deleted document. Try again.")

    def _points(self, held_in: Sequence[Version], revision_ids: Sequence[str]) -> dict[str, int]:
        """How many points of these revisions each version holds."""
        counts = {}
        for version in held_in:
            index = self._opened(version)
            counts[version.id] = sum(len(index.chunk_ids(one)) for one in revision_ids) if index else 0
        return counts

    def _opened(self, version: Version) -> Index | None:
        try:
            return self._engine.open(version.id, version.manifest)
        except NotFound:
            return None

    def _is_there(self, key: str) -> bool:
        try:
            next(self._blobs.stream(key), b"")
        except NotFound:
            return False
        return True


def file_key(file_id: str) -> str:
    """Where the bytes of a file lie."""
    return blob_key("files", file_id.removeprefix("file-"))


def text_key(revision_id: str) -> str:
    """Where the canonical text of a revision lies."""
    return blob_key("texts", revision_id.removeprefix("rev_"))


def _each(call: Callable[[str], T], keys: Iterable[str]) -> list[T]:
    """Blob storage over a network is slow by latency alone, so several keys are asked for at a time."""
    with ThreadPoolExecutor(_BLOBS_AT_ONCE) as pool:
        return list(pool.map(call, keys))


def _receipt(before: _Found, after: _Found, redacted: Gone, points: dict[str, int]) -> Receipt:
    return Receipt(
        revisions=Gone(before.rows.revisions, after.rows.revisions),
        chunks=Gone(before.rows.chunks, after.rows.chunks),
        texts=Gone(before.texts, after.texts),
        responses=redacted,
        points=points,
    )
