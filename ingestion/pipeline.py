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

from sqlalchemy.ext.asyncio import AsyncSession

from indexes.blobs import Blobs
from indexes.catalog import chunks as chunk_rows
from indexes.catalog import holdings, parts, reuse, versions, work
from indexes.catalog.completing import Completed, complete
from indexes.catalog.database import Database
from indexes.catalog.deleting import Doomed
from indexes.catalog.parts import Attached, Part
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.catalog.versions import Version
from indexes.catalog.work import Lease
from indexes.errors import CitewellError, Deferred, DocumentError, LeaseLost, NotFound, Unavailable
from indexes.index import Engine, Index
from indexes.manifest import Manifest
from indexes.model import Attributes, CanonicalText, Chunk
from ingestion.cutting import Cutter
from ingestion.erase import Eraser, file_key, text_key
from ingestion.filling import Filled, Filler
from ingestion.leases import kept_alive
from ingestion.local_file import local_file
from ingestion.parse.artefact import dumps, loads
from ingestion.parser import Parser
from ingestion.parts import Found, PartFinder
from ingestion.queue import Queue
from ingestion.settings import WorkerSettings
from ingestion.suspects import of_orders
from ingestion.threads import to_its_end

log = logging.getLogger(__name__)
_MOST_DOUBLINGS = 5
_UNFORESEEN = "Something went wrong on the server. If it stays so, tell its operator the id of the file."
Cut = dict[str, list[Chunk]]
"""Chunks by the rule that made them (`Manifest.cut`)."""
OWNER = f"{socket.gethostname()}:{os.getpid()}"


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
        async with self.database.write() as session:
            store_id = await work.next_store(session)
            return None if store_id is None else await work.claim(session, store_id, OWNER, self.settings.lease_s)

    async def process(self, revision: Revision) -> None:
        """Bring a claimed revision to its end, whatever that is."""
        lease = Lease(revision.id, OWNER, revision.fence)
        try:
            renewed = partial(work.renew, lease=lease, lease_s=self.settings.lease_s)
            async with kept_alive(self.database, renewed, self.settings.lease_s):
                unseen, doomed = await self._advance(revision, lease)
            for other in unseen:
                await self.eraser.revision(other)
            await self.eraser.doomed(doomed)
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

    async def _advance(self, revision: Revision, lease: Lease) -> tuple[Sequence[Revision], Doomed]:
        """Do what is left to do; what readers see no more because of it is for the caller to erase."""
        async with self.database.read() as session:
            job = Job(revision, lease, await versions.kept(session, revision.store_id))
            twin = await reuse.parsed(session, revision, self.parser.version) if revision.text_blob is None else None
        text = await self._parsed(job, twin)
        cut, attributes = await self._chunked(job, text)
        held: dict[str, int] = {}
        async with self.parts.found(revision, text) as found:
            while True:
                await self._stored(job, text, cut, attributes, held)
                warnings = [*text.warnings, *found.warnings, *of_orders(cut[job.held_in[0].manifest.cut])]
                ended = await self._completed(job, held, warnings, found)
                if ended is not None:
                    return ended
                async with self.database.read() as session:
                    job = replace(job, held_in=await versions.kept(session, revision.store_id))
                    attributes = await work.attributes(session, lease)

    async def _stored(
        self, job: Job, text: CanonicalText, cut: Cut, attributes: Attributes, held: dict[str, int]
    ) -> None:
        """Store the revision in every version that is not in `held` yet, and read it back (I3).

        `held` then says how many chunks each version holds, by its id.
        """
        for version in (one for one in job.held_in if one.id not in held):
            rule = version.manifest.cut
            if rule not in cut:
                cut[rule] = await self._chunks(job, version.manifest, text)
            chunks = cut[rule]
            if version == job.held_in[0]:
                await self._indexed(job, version, chunks, attributes)
            else:
                await self.filler.fill(job.revision, version, chunks, attributes, _unheard)
            await self._verified(job, version, chunks)
            held[version.id] = len(chunks)

    async def _parsed(self, job: Job, twin: Revision | None) -> CanonicalText:
        revision = job.revision
        if revision.text_blob is not None:
            return await asyncio.to_thread(self._stored_text, revision.text_blob)
        text = await self._parsed_before(twin) or await self._parsed_now(revision)
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

    async def _parsed_before(self, twin: Revision | None) -> CanonicalText | None:
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

    async def _chunked(self, job: Job, text: CanonicalText) -> tuple[Cut, Attributes]:
        """The chunks of the live version, unless they were made before, and the attributes that points are to have."""
        if job.revision.stage not in (Stage.RECEIVED, Stage.PARSED):
            async with self.database.write() as session:
                return {}, await work.announce_points(session, job.lease)
        manifest = job.held_in[0].manifest
        chunks = await self.cutter.cut(job.revision, manifest, text)
        async with self.database.write() as session:
            return {manifest.cut: chunks}, await work.put_chunks(session, job.lease, manifest.cut, chunks)

    async def _chunks(self, job: Job, manifest: Manifest, text: CanonicalText) -> list[Chunk]:
        if known := await self.cutter.known(job.revision, manifest):
            return known
        chunks = await self.cutter.cut(job.revision, manifest, text)
        async with self.database.write() as session:
            await work.renew(session, job.lease, self.settings.lease_s)
            await chunk_rows.put(session, job.revision.id, manifest.cut, chunks)
        return chunks

    async def _indexed(self, job: Job, live: Version, chunks: Sequence[Chunk], attributes: Attributes) -> None:
        """Store what the live version does not hold yet, and note how far that is."""

        def reused(filled: Filled) -> int:
            return min(job.revision.chunks_reused, filled.found) + filled.reused

        async def noted(filled: Filled) -> None:
            async with self.database.write() as session:
                await work.progress(session, job.lease, filled.done, reused(filled))

        filled = await self.filler.fill(job.revision, live, chunks, attributes, noted)
        async with self.database.write() as session:
            done = {"chunks_done": filled.done, "chunks_reused": reused(filled)}
            await work.advance(session, job.lease, Stage.INDEXED, **done)

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
    ) -> tuple[Sequence[Revision], Doomed] | None:
        """Give the points the newest attributes and, once nobody changed them meanwhile, let readers see them.

        In the same transaction the parts are attached: whoever sees the parent completed sees them in progress. None
        where a build began meanwhile: its version must hold the revision too (I8).
        """
        while True:
            async with self.database.write() as session:
                kept = await versions.kept_ids(session, job.revision.store_id)
                if not kept <= held.keys():
                    return None
                completed = await complete(session, job.lease)
                if completed is not None:
                    completed.revision.warnings = list(warnings)
                    await holdings.note_completed(session, {ident: held[ident] for ident in kept}, job.revision.id)
                    attached = await _attached(session, completed, found.parts)
                    break
                attributes = await work.attributes(session, job.lease)
            for version in job.held_in:
                index = await self._opened(version)
                await to_its_end(index.set_attributes, job.revision.id, attributes)
            async with self.database.write() as session:
                await work.attributes_synced(session, job.revision.id, attributes)
        self.queue.wake(attached.due)
        return completed.unseen, attached.gone

    async def _opened(self, version: Version) -> Index:
        return await asyncio.to_thread(self.engine.open, version.id, version.manifest)

    async def _release(self, lease: Lease) -> None:
        async with self.database.write() as session:
            await work.release(session, lease)

    async def _give_up(self, revision: Revision, lease: Lease, error: CitewellError) -> None:
        """Park what cannot succeed, and put the rest back in line with growing delays."""
        deferred = isinstance(error, Deferred)  # waits for others like it, however long those take (I12)
        final = isinstance(error, DocumentError) or (not deferred and revision.attempts >= self._most_attempts(error))
        with contextlib.suppress(LeaseLost):
            async with self.database.write() as session:
                if final:
                    await work.fail(session, lease, error.code, error.message)
                else:
                    doublings = _MOST_DOUBLINGS if deferred else min(revision.attempts - 1, _MOST_DOUBLINGS)
                    delay_s = self.settings.retry_delay_s * 2**doublings
                    await work.postpone(session, lease, error.code, error.message, delay_s, counted=not deferred)

    def _most_attempts(self, error: CitewellError) -> int:
        """An outage is not the document's fault, and ends; what fails here for no known reason may fail for ever."""
        return self.settings.outage_attempts if isinstance(error, Unavailable) else self.settings.max_attempts


async def _attached(session: AsyncSession, completed: Completed, parts_found: Sequence[Part]) -> Attached:
    """The parts of a revision that is current now, and the end of those that revisions before it had."""
    mine = completed.revision
    is_parent = mine.state == RevisionState.CURRENT and mine.parent_id is None
    if is_parent and (parts_found or completed.has_history):
        return await parts.attach(session, mine, parts_found)
    return Attached()


async def _unheard(_filled: Filled) -> None:
    """What an owner sees the progress of is the live version."""
