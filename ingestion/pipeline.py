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
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from indexes import ids
from indexes.blobs import Blobs
from indexes.catalog import parts, reuse, revisions, stores, versions, work
from indexes.catalog.completing import Completed, complete
from indexes.catalog.database import Database
from indexes.catalog.deleting import Doomed
from indexes.catalog.parts import Attached, Part
from indexes.catalog.tables import ChunkRow, Revision, RevisionState, Stage
from indexes.catalog.versions import Version
from indexes.catalog.work import Lease
from indexes.embedders.models import Models
from indexes.errors import CitewellError, DocumentError, LeaseLost, NotFound, Unavailable
from indexes.index import Engine, Index
from indexes.lexical import Analyser
from indexes.manifest import Chunking, Manifest
from indexes.model import Attributes, CanonicalText, Chunk, Point, Span, Vector
from ingestion.chunk import fit
from ingestion.erase import Eraser, file_key, text_key
from ingestion.leases import kept_alive
from ingestion.local_file import local_file
from ingestion.parse.artefact import dumps, loads
from ingestion.parser import Parser
from ingestion.parts import Found, PartFinder
from ingestion.queue import Queue
from ingestion.settings import WorkerSettings
from ingestion.threads import to_its_end
from ingestion.vectors import VectorMaker

log = logging.getLogger(__name__)
_MOST_DOUBLINGS = 5
_UNFORESEEN = "Something went wrong on the server. If it stays so, tell its operator the id of the file."
OWNER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed revision, and the index versions that must hold it (I8)."""

    revision: Revision
    lease: Lease
    held_in: Sequence[Version]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Processes one revision at a time per call; calls may run side by side."""

    database: Database
    blobs: Blobs
    engine: Engine
    models: Models
    parser: Parser
    vectors: VectorMaker
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
            async with kept_alive(self.database, lease, self.settings.lease_s):
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
        chunks, attributes = await self._chunked(job, text)
        reused = [await self._indexed(job, version, chunks, attributes) for version in job.held_in]
        async with self.database.write() as session:
            await work.advance(
                session, lease, Stage.INDEXED, chunks_done=len(chunks), chunks_reused=min(reused, default=0)
            )
        await self._verified(job, chunks)
        async with self.parts.found(revision, text) as found:
            return await self._completed(job, [*text.warnings, *found.warnings], found)

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

    async def _chunked(self, job: Job, text: CanonicalText) -> tuple[list[Chunk], Attributes]:
        """The chunks, and the attributes that their points are to have."""
        revision = job.revision
        if revision.stage not in (Stage.RECEIVED, Stage.PARSED):
            async with self.database.write() as session:
                attributes = await work.announce_points(session, job.lease)
                return [_chunk(row) for row in await revisions.chunks(session, revision.id)], attributes
        manifest = job.held_in[-1].manifest
        model = await self.models.folder(manifest.embedding)
        spans = await self.parser.chunk(text, manifest.chunker, _chunking(revision, manifest), model)
        chunks = [
            Chunk(
                id=ids.chunk_id(revision.id, manifest.chunker, span.ordinal),
                revision_id=revision.id,
                span=span,
                text=text.text[span.start : span.end],
            )
            for span in spans
        ]
        async with self.database.write() as session:
            return chunks, await work.put_chunks(session, job.lease, chunks)

    async def _indexed(self, job: Job, version: Version, chunks: Sequence[Chunk], attributes: Attributes) -> int:
        """Store what this version does not hold yet; gives for how many chunks no text was embedded."""
        index, held = await to_its_end(self._begun, version, job.revision)
        missing = [chunk for chunk in chunks if chunk.id not in held]
        analyser = Analyser(version.manifest.lexical)
        done = len(chunks) - len(missing)
        reused = min(job.revision.chunks_reused, done)
        for first in range(0, len(missing), self.settings.batch_chunks):
            if first:  # the last batch is noted with the stage
                async with self.database.write() as session:
                    await work.progress(session, job.lease, done, reused)
            batch = missing[first : first + self.settings.batch_chunks]
            made = await self.vectors.vectors(job.revision, batch, version, job.held_in)
            await to_its_end(_store, index, analyser, batch, made.by_chunk, attributes)
            done, reused = done + len(batch), reused + made.reused
        return reused

    def _begun(self, version: Version, revision: Revision) -> tuple[Index, set[str]]:
        """The index of a version, and which chunks of the revision it holds from an earlier attempt."""
        index = self.engine.create(version.id, version.manifest)
        return index, index.chunk_ids(revision.id) if revision.has_points else set()

    async def _verified(self, job: Job, chunks: Sequence[Chunk]) -> None:
        """Read back every chunk from every version (I3)."""
        expected = {chunk.id for chunk in chunks}
        for version in job.held_in:
            found = await asyncio.to_thread(self._held, version, job.revision.id)
            if found != expected:
                index = await self._opened(version)
                await to_its_end(index.delete, job.revision.id)
                raise Unavailable(
                    f"Index version {version.id} holds {len(found)} chunks where {len(expected)} were stored. "
                    "They are stored again."
                )

    def _held(self, version: Version, revision_id: str) -> set[str]:
        return self.engine.open(version.id, version.manifest).chunk_ids(revision_id)

    async def _completed(self, job: Job, warnings: Sequence[str], found: Found) -> tuple[Sequence[Revision], Doomed]:
        """Give the points the newest attributes and, once nobody changed them meanwhile, let readers see them.

        In the same transaction the parts are attached: whoever sees the parent completed sees them in progress.
        """
        while True:
            async with self.database.write() as session:
                if found.parts:  # a delete of the store comes before them, or finds them
                    await stores.project(session, job.revision.store_id, locked=True)
                completed = await complete(session, job.lease)
                if completed is not None:
                    completed.revision.warnings = list(warnings)
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


async def _attached(session: AsyncSession, completed: Completed, parts_found: Sequence[Part]) -> Attached:
    """The parts of a revision that is current now, and the end of those that revisions before it had."""
    mine = completed.revision
    is_parent = mine.state == RevisionState.CURRENT and mine.parent_id is None
    if is_parent and (parts_found or completed.has_history):
        return await parts.attach(session, mine, parts_found)
    return Attached()


def _store(
    index: Index, analyser: Analyser, chunks: Sequence[Chunk], vectors: Mapping[str, Vector], attributes: Attributes
) -> None:
    points = [
        Point(chunk.id, chunk.revision_id, vectors[chunk.id], analyser.document(chunk.text), attributes)
        for chunk in chunks
    ]
    index.upsert(points)


def _chunking(revision: Revision, manifest: Manifest) -> Chunking:
    if revision.max_tokens is None:
        return manifest.chunking
    return fit(Chunking(revision.max_tokens, revision.overlap_tokens or 0), manifest.embedding.max_tokens)


def _chunk(row: ChunkRow) -> Chunk:
    span = Span(row.start, row.end, row.ordinal, row.tokens, row.page_start, row.page_end, tuple(row.section))
    return Chunk(row.id, row.revision_id, span, row.text)
