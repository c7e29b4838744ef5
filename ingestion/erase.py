"""Takes a revision out of every index version, then out of the catalog and the blobs."""

import asyncio
from collections.abc import Sequence

from indexes.blobs import Blobs, blob_key
from indexes.catalog import responses, versions, work
from indexes.catalog.database import Database
from indexes.catalog.tables import File, Revision, RevisionState, Store
from indexes.catalog.versions import Version
from indexes.errors import NotFound, Unavailable
from indexes.index import Engine


class Eraser:
    """Finishes what deleting and superseding began. Readers stopped seeing the revision before this is called.

    Every step may be repeated: a crash in the middle leaves rows that the reconciler finds.
    """

    def __init__(self, database: Database, blobs: Blobs, engine: Engine) -> None:
        self._database = database
        self._blobs = blobs
        self._engine = engine

    async def revision(self, revision: Revision) -> None:
        """Erase the points, chunks and text of a revision, and the row of a deleted one.

        Raises Unavailable where an index still holds points afterwards.
        """
        async with self._database.read() as session:
            held_in = await versions.kept(session, revision.store_id)
        await asyncio.to_thread(self._erase_points, held_in, revision.id)
        async with self._database.write() as session:
            if revision.state == RevisionState.DELETED:
                await responses.redact(session, revision.id)
            await work.forget(session, revision)
        await asyncio.to_thread(self._blobs.delete, text_key(revision.id))

    async def file(self, file: File) -> None:
        """Erase the bytes of a file whose revisions are gone."""
        await asyncio.to_thread(self._blobs.delete, file_key(file.id))

    async def store(self, store: Store, doomed: Sequence[Revision]) -> None:
        """Erase every index version of a store, and the texts of its revisions."""
        async with self._database.read() as session:
            held_in = await versions.kept(session, store.id)
        for version in held_in:
            await asyncio.to_thread(self._engine.drop, version.id)
        async with self._database.write() as session:
            for revision in doomed:
                await responses.redact(session, revision.id)
        for revision in doomed:
            await asyncio.to_thread(self._blobs.delete, text_key(revision.id))

    def _erase_points(self, held_in: list[Version], revision_id: str) -> None:
        for version in held_in:
            try:
                index = self._engine.open(version.id, version.manifest)
            except NotFound:
                continue
            index.delete(revision_id)
            if index.chunk_ids(revision_id):
                raise Unavailable(f"Index version {version.id} still holds points of a deleted document. Try again.")


def file_key(file_id: str) -> str:
    """Where the bytes of a file lie."""
    return blob_key("files", file_id.removeprefix("file-"))


def text_key(revision_id: str) -> str:
    """Where the canonical text of a revision lies."""
    return blob_key("texts", revision_id.removeprefix("rev_"))
