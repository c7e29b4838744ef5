"""The line from bytes to a searchable revision: parse, chunk, embed, store, read back, complete.

Each stage leaves a fact in the catalog, so whoever works on the revision next goes on from there (I5). Everything a
worker changes names the lease it holds; one that lost it stops at its next step.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from indexes.blobs import Blobs
from indexes.catalog import chunks as chunk_rows
from indexes.catalog import holdings, parts, reuse, revisions, stores, versions, work
from indexes.catalog.database import Database
from indexes.catalog.deleting import Doomed
from indexes.catalog.parts import Attached
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.catalog.versions import Version
from indexes.catalog.work import Lease
from indexes.errors import CitewellError, DocumentError, LeaseLost, NotFound, Unavailable
from indexes.index import Engine, Index
from indexes.manifest import Manifest
from indexes.model import Attributes, CanonicalText, Chunk
from ingestion.cutting import Cutter
from ingestion.erase import Eraser, file_key, text_key
from ingestion.filling import Filled, Filler
from ingestion.leases import kept_alive
from ingestion.local_file import local_file
from ingestion.parse.artefact import dumps, loads
from ingestion.parts import Found, PartFinder
from ingestion.queue import Queue
from ingestion.settings import WorkerSettings
from ingestion.threads import to_its_end

log = logging.getLogger(__name__)
_MOST_DOUBLINGS = 5
_UNFORESEEN = "Something went wrong on the server. If it stays so, tell its operator the id of the file."
OWNER = f"{socket.gethostname()}:{os.getpid()}"


class Parser(Protocol):
    """Parses outside this process, within limits."""

    @property
    def version(self) -> str:
        """Equal versions make equal texts of equal bytes."""

    async def parse(self, path: Path, filename: str) -> CanonicalText:
        """The canonical text. Raises DocumentError."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed revision, and the index versions that must hold it (I8), the live one first."""

    revision: Revision
    lease: Lease
    held_in: Sequence[Version]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Processes one revision at a time per call; calls may run side by side."""

    database: Database
    blobs: Blobs
    engine: Engine
    parser: Parser
    cutter: Cutter
    filler: Filler
    parts: PartFinder
    queue: Queue
    eraser: Eraser
    settings: WorkerSettings

    async def claim(self) -> Revision | None:
        """Take over the next revision that is due; None if there is none."""
        async with self.database.read() as session:
            store_id = await work.next_store(session)
        if store_id is None:
            return None
        async with self.database.write() as session:
            return await work.claim(session, store_id, OWNER, self.settings.lease_s)

    async def process(self, revision: Revision) -> None:
        """Bring a claimed revision to its end, whatever that is."""
        lease = Lease(revision.id, OWNER, revision.fence)
        try:
            renewed = partial(work.renew, lease=lease, lease_s=self.settings.lease_s)
            async with kept_alive(self.database, renewed, self.settings.lease_s):
                gone = await self._advance(revision, lease)
            await self._clear_superseded(revision, gone)
        except LeaseLost:
            log.info("the work on %s was taken over, cancelled or deleted", revision.id)
            await self._release(lease)
            await self.eraser.forgotten(revision)
        except asyncio.CancelledError:
            await self._release(lease)
            raise
        except CitewellError as error:
            await self._give_up(revision, lease, error)
        except Exception:
            log.exception("the work on %s failed", revision.id)
            await self._give_up(revision, lease, CitewellError(_UNFORESEEN))

    async def _advance(self, revision: Revision, lease: Lease) -> Doomed:
        """Do what is left to do; what readers see no more because of it is for the caller to erase."""
        async with self.database.read() as session:
            job = Job(revision, lease, await versions.kept(session, revision.store_id))
        text = await self._parsed(job)
        cut = await self._chunked(job, text)
        async with self.parts.found(revision, text) as found:
            attached = None
            while attached is None:
                held = await self._held(job, text, cut)
                attached = await self._completed(job, held, [*text.warnings, *found.warnings], found)
                if attached is None:  # a build began meanwhile: its version must hold this revision too
                    async with self.database.read() as session:
                        job = replace(job, held_in=await versions.kept(session, revision.store_id))
        self.queue.wake(attached.due)
        return attached.gone

    async def _held(self, job: Job, text: CanonicalText, cut: dict[str, list[Chunk]]) -> dict[str, int]:
        """Store the revision in every version and read it back (I3); how many chunks each holds, by its id.

        `cut` has chunks by the rule that made them; what is missing is added.
        """
        for version in job.held_in:
            if version.manifest.cut not in cut:
                cut[version.manifest.cut] = await self._chunks(job, version.manifest, text)
        chunks = {version.id: cut[version.manifest.cut] for version in job.held_in}
        async with self.database.write() as session:
            attributes = await work.announce_points(session, job.lease)
        for version in job.held_in:
            await self._indexed(job, version, chunks[version.id], attributes)
        async with self.database.write() as session:
            await work.advance(session, job.lease, Stage.INDEXED, chunks_done=len(chunks[job.held_in[0].id]))
        for version in job.held_in:
            await self._verified(job, version, chunks[version.id])
        return {ident: len(mine) for ident, mine in chunks.items()}

    async def _parsed(self, job: Job) -> CanonicalText:
        revision = job.revision
        if revision.text_blob is not None:
            return await asyncio.to_thread(self._stored_text, revision.text_blob)
        text = await self._parsed_before(revision) or await self._parsed_now(revision)
        data = await asyncio.to_thread(dumps, text)
        await to_its_end(self.blobs.write, text_key(revision.id), data)
        async with self.database.write() as session:
            await work.advance(
                session,
                job.lease,
                Stage.PARSED,
                parser=self.parser.version,
                text_blob=text_key(revision.id),
                title=text.title,
                warnings=list(text.warnings),
                usage_bytes=len(data),
            )
        return text

    async def _parsed_before(self, revision: Revision) -> CanonicalText | None:
        async with self.database.read() as session:
            twin = await reuse.parsed(session, revision, self.parser.version)
        if twin is None or twin.text_blob is None:
            return None
        try:
            return await asyncio.to_thread(self._stored_text, twin.text_blob)
        except NotFound:
            return None  # it is being deleted at this moment

    def _stored_text(self, key: str) -> CanonicalText:
        return loads(self.blobs.read(key))

    async def _parsed_now(self, revision: Revision) -> CanonicalText:
        async with local_file(self.blobs, file_key(revision.file_id)) as path:
            text = await self.parser.parse(path, revision.filename)
        if not text.text.strip():
            raise DocumentError("This file holds no text. Upload one that does.", code="empty_file")
        return text

    async def _chunked(self, job: Job, text: CanonicalText) -> dict[str, list[Chunk]]:
        """Cut the text for the live version, whose progress its owner sees, unless that was done before."""
        if job.revision.stage not in (Stage.RECEIVED, Stage.PARSED):
            return {}
        manifest = job.held_in[0].manifest
        chunks = await self.cutter.cut(job.revision, manifest, text)
        async with self.database.write() as session:
            await work.put_chunks(session, job.lease, manifest.cut, chunks)
        return {manifest.cut: chunks}

    async def _chunks(self, job: Job, manifest: Manifest, text: CanonicalText) -> list[Chunk]:
        if known := await self.cutter.known(job.revision, manifest):
            return known
        chunks = await self.cutter.cut(job.revision, manifest, text)
        async with self.database.write() as session:
            await work.renew(session, job.lease, self.settings.lease_s)
            await chunk_rows.put(session, job.revision.id, manifest.cut, chunks)
        return chunks

    async def _indexed(self, job: Job, version: Version, chunks: Sequence[Chunk], attributes: Attributes) -> None:
        async def noted(filled: Filled) -> None:
            if version == job.held_in[0]:
                async with self.database.write() as session:
                    await work.progress(session, job.lease, filled.done, filled.reused)

        await noted(await self.filler.fill(job.revision, version, chunks, attributes, noted))

    async def _verified(self, job: Job, version: Version, chunks: Sequence[Chunk]) -> None:
        index = await self._opened(version)
        found = await asyncio.to_thread(index.chunk_ids, job.revision.id)
        if found != {chunk.id for chunk in chunks}:
            await to_its_end(index.delete, job.revision.id)
            raise Unavailable(
                f"Index version {version.id} holds {len(found)} chunks where {len(chunks)} were stored. "
                "They are stored again."
            )

    async def _completed(
        self, job: Job, held: Mapping[str, int], warnings: Sequence[str], found: Found
    ) -> Attached | None:
        """Give the points the newest attributes and, once nobody changed them meanwhile, let readers see them.

        In the same transaction the parts are attached: whoever sees the parent completed sees them in progress. None
        where the store has a version by now that does not hold the revision.
        """
        while True:
            async with self.database.write() as session:
                # Until this ends no version is made or promoted, and a delete of the store comes before the parts, or
                # finds them.
                await stores.project(session, job.revision.store_id, locked=True)
                kept = {version.id for version in await versions.kept(session, job.revision.store_id)}
                if not kept <= held.keys():
                    return None
                attributes = await work.unsynced_attributes(session, job.lease)
                if attributes is None:
                    mine = await work.complete(session, job.lease)
                    mine.warnings = list(warnings)
                    for ident in kept:
                        await holdings.note_completed(session, [ident], mine.id, held[ident])
                    is_parent = mine.state == RevisionState.CURRENT and mine.parent_id is None
                    return await parts.attach(session, mine, found.parts) if is_parent else Attached()
            for version in job.held_in:
                index = await self._opened(version)
                await to_its_end(index.set_attributes, job.revision.id, attributes)
            async with self.database.write() as session:
                await work.attributes_synced(session, job.revision.id, attributes)

    async def _clear_superseded(self, revision: Revision, gone: Doomed) -> None:
        async with self.database.read() as session:
            same_key = await revisions.of_keys(session, revision.store_id, [revision.key])
        for other in same_key:
            if other.state == RevisionState.SUPERSEDED and other.has_points:
                await self.eraser.revision(other)
        await self.eraser.doomed(gone)

    async def _opened(self, version: Version) -> Index:
        return await asyncio.to_thread(self.engine.open, version.id, version.manifest)

    async def _release(self, lease: Lease) -> None:
        async with self.database.write() as session:
            await work.release(session, lease)

    async def _give_up(self, revision: Revision, lease: Lease, error: CitewellError) -> None:
        """Park what cannot succeed, and put the rest back in line with growing delays."""
        final = isinstance(error, DocumentError) or revision.attempts >= self._most_attempts(error)
        with contextlib.suppress(LeaseLost):
            async with self.database.write() as session:
                if final:
                    await work.fail(session, lease, error.code, error.message)
                else:
                    delay_s = self.settings.retry_delay_s * 2 ** min(revision.attempts - 1, _MOST_DOUBLINGS)
                    await work.postpone(session, lease, error.code, error.message, delay_s)

    def _most_attempts(self, error: CitewellError) -> int:
        """An outage is not the document's fault, and ends; what fails here for no known reason may fail for ever."""
        return self.settings.outage_attempts if isinstance(error, Unavailable) else self.settings.max_attempts
