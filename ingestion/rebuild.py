"""Fills index versions: a new one beside the live one, slowly enough for that, and to the last document (I8); one that
lost what it held as fast as can be.

What is left to do is asked of the catalog, pass after pass, so that a build goes on wherever it was interrupted, and
takes up what was written by workers that did not know of it yet.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from indexes.blobs import Blobs
from indexes.catalog import builds, chunks, holdings, restoring, versions
from indexes.catalog.builds import BuildLease
from indexes.catalog.database import Database
from indexes.catalog.tables import IndexVersion, Revision, VersionState
from indexes.catalog.versions import Version
from indexes.errors import CitewellError, IndexDamaged, LeaseLost, NotFound, Unavailable
from indexes.index import Engine
from indexes.model import Chunk
from indexes.standing import report
from ingestion.cutting import Cutter
from ingestion.erase import text_key
from ingestion.filling import Filled, Filler
from ingestion.leases import kept_alive
from ingestion.parse.artefact import loads
from ingestion.pipeline import OWNER
from ingestion.settings import WorkerSettings
from ingestion.stocktaking import taken
from ingestion.threads import to_its_end

log = logging.getLogger(__name__)
_POLL_S = 1.0
_IDLE_PASSES, _IDLE_S = 10, 0.5  # erasing a document takes less
_REVISIONS_AT_ONCE = 8
_MOST_DOUBLINGS = 5


@dataclass(frozen=True, slots=True)
class _Build:
    """A build that this worker owns."""

    row: IndexVersion
    version: Version
    lease: BuildLease

    @property
    def is_new(self) -> bool:
        """Whether nobody searches it yet; others are being restored."""
        return self.row.state == VersionState.BUILDING


@dataclass(frozen=True, slots=True)
class _Added:
    """A revision whose chunks were stored and read back."""

    revision: Revision
    chunks: int
    reused: int


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds one version at a time, and restores another."""

    database: Database
    blobs: Blobs
    engine: Engine
    cutter: Cutter
    filler: Filler
    settings: WorkerSettings

    async def run(self, *, lost: bool = False) -> None:
        """Take over builds that are due, or what is to be restored, one after the other, until cancelled."""
        while True:
            row = None
            try:
                async with self.database.write() as session:
                    row = await builds.claim(session, OWNER, self.settings.lease_s, restoring=lost)
                if row is not None:
                    await self.build(row)
            except CitewellError as error:
                log.warning("building stopped and will be tried again: %s", error.message)
            except Exception:
                log.exception("building stopped and will be tried again")
            if row is None:
                await asyncio.sleep(_POLL_S)

    async def build(self, row: IndexVersion) -> None:
        """Bring a claimed build to its end, or as far as it is let; erase a damaged version first."""
        build = _Build(row, versions.opened_as(row), BuildLease(row.id, OWNER, row.fence))
        renewed = partial(builds.renew, lease=build.lease, lease_s=self.settings.lease_s)
        try:
            async with kept_alive(self.database, renewed, self.settings.lease_s):
                await (self._drop(build) if row.damaged else self._fill(build))
        except LeaseLost:
            await self._lost(build)
        except asyncio.CancelledError:
            await self._release(build)
            raise
        except IndexDamaged as damage:
            await report(self.database, row.id, row.fence, damage)
        except CitewellError as error:
            await self._give_up(build, error)
        except Exception:
            log.exception("the build of %s failed", row.id)
            await self._give_up(build, CitewellError("Something went wrong on the server; its log says more."))

    async def _drop(self, build: _Build) -> None:
        """Whoever claims it next fills a new one."""
        await to_its_end(self.engine.drop, build.version.id)
        async with self.database.write() as session:
            await restoring.note_dropped(session, build.lease)

    async def _fill(self, build: _Build) -> None:
        await self.filler.opened(build.version)
        idle = 0
        while True:
            textless = await self._pass(build)
            idle = idle + 1 if textless else 0
            if idle == _IDLE_PASSES:
                raise Unavailable(
                    f"The text of {len(textless)} documents is not there, '{textless[0]}' among them. Upload them "
                    "again, or bring back the blobs."
                )
            if idle:
                await asyncio.sleep(_IDLE_S)
            inventory_hash = await self._reconciled(build)
            if inventory_hash is None:
                continue
            async with self.database.write() as session:
                if await builds.finish(session, build.lease, inventory_hash):
                    log.info("index version %s is %s", build.version.id, "ready" if build.is_new else "whole again")
                    return

    async def _pass(self, build: _Build) -> list[str]:
        """Add everything that is missing, resting between the steps for what else the machine has to do.

        Gives the keys of those that have no text: they are being erased at this moment, or it is lost.
        """
        after_seq = 0
        textless: list[str] = []
        while True:
            async with self.database.read() as session:
                rows = await builds.left(session, build.row, after_seq, _REVISIONS_AT_ONCE)
            if not rows:
                return textless
            began = time.monotonic()
            added = await self._add(build, rows)
            textless += [row.key for row in rows if row.id not in added]
            after_seq = rows[-1].seq
            if build.is_new:
                await asyncio.sleep((time.monotonic() - began) * (1 / self.settings.build_share - 1))

    async def _add(self, build: _Build, rows: Sequence[Revision]) -> set[str]:
        began = time.monotonic()
        async with self.database.write() as session:
            await builds.renew(session, build.lease, self.settings.lease_s)
            await holdings.announce(session, build.version.id, [row.id for row in rows])
        added = await self._all_added(build, rows)
        attributes = {one.revision.id: one.revision.attributes for one in added}
        read_back = {one.revision.id: one.chunks for one in added}
        reused = sum(one.reused for one in added)
        embedded = sum(read_back.values()) - reused
        async with self.database.write() as session:
            unwanted = await holdings.note_verified(session, build.row, read_back, attributes)
            if added:
                await builds.progress(session, build.lease, embedded, reused, time.monotonic() - began)
        await self._take_out(build.version, unwanted)
        return set(read_back)

    async def _all_added(self, build: _Build, rows: Sequence[Revision]) -> list[_Added]:
        """Store revisions together, so that the batches of the model fill."""
        ended = await asyncio.gather(*(self._added(build, row) for row in rows), return_exceptions=True)
        for one in ended:  # only now, when no other of them writes any more
            if isinstance(one, BaseException):
                raise one
        return [one for one in ended if isinstance(one, _Added)]

    async def _added(self, build: _Build, revision: Revision) -> _Added | None:
        """Store one revision and read it back; None for one that is being erased at this moment."""
        cut = await self._chunks(build, revision)
        if cut is None:
            return None
        filled = await self.filler.fill(revision, build.version, cut, revision.attributes, _unheard)
        index = await asyncio.to_thread(self.engine.open, build.version.id, build.version.manifest)
        if await asyncio.to_thread(index.chunk_ids, revision.id) != {chunk.id for chunk in cut}:
            await to_its_end(index.delete, revision.id)
            raise Unavailable(f"Index version {build.version.id} does not hold what was stored. It is stored again.")
        return _Added(revision, len(cut), filled.found + filled.reused)

    async def _chunks(self, build: _Build, revision: Revision) -> list[Chunk] | None:
        manifest = build.version.manifest
        if known := await self.cutter.known(revision, manifest):
            return known
        try:
            text = loads(await asyncio.to_thread(self.blobs.read, text_key(revision.id)))
        except NotFound:
            return None
        cut = await self.cutter.cut(revision, manifest, text)
        async with self.database.write() as session:
            if not await holdings.still_wanted(session, build.row, revision.id):
                return None
            await chunks.put(session, revision.id, manifest.cut, cut)
        return cut

    async def _reconciled(self, build: _Build) -> str | None:
        """The hash of what the version holds, once the catalog says the same; None where something must go again."""
        index = await asyncio.to_thread(self.engine.open, build.version.id, build.version.manifest)
        stock = await taken(self.database, index, build.row)
        await self._take_out(build.version, [*stock.wrong, *stock.strays])
        return None if stock.wrong else holdings.inventory_hash(stock.expected)

    async def _take_out(self, version: Version, revision_ids: Sequence[str]) -> None:
        if not revision_ids:
            return
        index = await asyncio.to_thread(self.engine.open, version.id, version.manifest)
        for ident in revision_ids:
            await to_its_end(index.delete, ident)
        async with self.database.write() as session:
            await holdings.forget(session, version.id, revision_ids)

    async def _lost(self, build: _Build) -> None:
        log.info("the build of %s was taken over, paused or cancelled, or its store deleted", build.version.id)
        await self._release(build)

    async def _release(self, build: _Build) -> None:
        async with self.database.write() as session:
            await builds.release(session, build.lease)

    async def _give_up(self, build: _Build, error: CitewellError) -> None:
        """An outage is waited for with growing delays; what fails again and again for no known reason is given up."""
        most = self.settings.outage_attempts if isinstance(error, Unavailable) else self.settings.max_attempts
        try:
            async with self.database.write() as session:
                attempts = await builds.count_attempt(session, build.lease, error.message)
                if attempts >= most and build.is_new:
                    await builds.fail(session, build.lease, error.message)
                else:
                    delay_s = self.settings.retry_delay_s * 2 ** min(attempts - 1, _MOST_DOUBLINGS)
                    await builds.postpone(session, build.lease, delay_s)
        except LeaseLost:
            await self._lost(build)


async def _unheard(_filled: Filled) -> None:
    """Progress within one document is not noted: the next step is at most a few documents away."""
