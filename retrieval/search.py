"""From a question to hits: which version answers, what it ranks, and what of that readers may see now."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from functools import partial

from indexes.catalog import stores, visibility
from indexes.catalog.database import Database
from indexes.catalog.versions import Version
from indexes.catalog.visibility import Sighting, View
from indexes.embedders.models import Models
from indexes.errors import IndexDamaged, StorageFull, Unavailable
from indexes.filters import matches
from indexes.index import Engine
from indexes.model import Hit
from indexes.rerankers.settings import NoRerankSettings
from indexes.standing import counted, report
from retrieval.explanation import Explanation
from retrieval.observations import Observations
from retrieval.query import Query
from retrieval.ranking import Ranked, Ranker
from retrieval.refining import Refiner
from retrieval.rerank import Reranking
from retrieval.rewriting import AsAsked, Rewriter
from retrieval.settings import SearchSettings
from retrieval.traffic import Traffic
from retrieval.views import Views

_TRIES = 8
_TOUCH_S = 60.0


@dataclass(frozen=True, slots=True)
class Results:
    """Hits, best first, all of one index version, and how they were found. `queries` are the forms of the question
    that were searched."""

    hits: list[Hit]
    queries: tuple[str, ...]
    index_version: str
    explanation: Explanation = field(default_factory=Explanation)


class Searcher:
    """Searches stores for one process."""

    def __init__(
        self,
        database: Database,
        ranker: Ranker,
        refiner: Refiner,
        traffic: Traffic,
        settings: SearchSettings,
        rewriter: Rewriter | None = None,
    ) -> None:
        self._database = database
        self._views = Views(database)
        self._ranker = ranker
        self._refiner = refiner
        self._traffic = traffic
        self._settings = settings
        self._rewriter = rewriter or AsAsked()
        self._counts: dict[str, asyncio.Task[None]] = {}  # of versions, when this process searched them first

    @classmethod
    def unobserved(cls, database: Database, engine: Engine, models: Models, settings: SearchSettings) -> "Searcher":
        """One that remembers no questions, and reranks nothing: for figures and tests."""
        ranker = Ranker(engine, models, settings)
        refiner = Refiner(database, engine, Reranking(None, NoRerankSettings()), lambda _: "")
        return cls(database, ranker, refiner, Traffic(ranker, Observations(database, recorded_queries=0)), settings)

    async def search(self, project: str, store_id: str, query: Query) -> Results:
        """The best hits. Each is of a revision that was current when the search ended (I4), or is in the snapshot
        that was asked for.

        Raises NotFound for an unknown store, version or snapshot, and Unavailable past the time limit or where nothing
        could be searched within the time of the query.
        """
        deadline = time.monotonic() + (query.within_s or self._settings.timeout_s)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._search(project, store_id, await self._rewritten(query), deadline)
        except TimeoutError as error:
            raise Unavailable(
                f"The search took longer than {self._settings.timeout_s:g} s and was given up. Try again."
            ) from error

    async def _rewritten(self, query: Query) -> Query:
        if not query.rewrite:
            return query
        forms = [form for question in query.queries for form in await self._rewriter.rewrite(question)]
        return replace(query, queries=tuple(dict.fromkeys((*query.queries, *forms))))

    async def _search(self, project: str, store_id: str, query: Query, deadline: float) -> Results:
        for attempt in range(_TRIES):
            view = await self._views.view(project, store_id, query, fresh=attempt > 0)
            version = self._traffic.chosen(view, query)
            ranked, readable = await self._ranked(view, version, query, deadline)
            if not readable and attempt < _TRIES - 1 and view.restoring is None:
                continue  # it is being restored now, or another version answers
            hits, settled = await self._hits(view, version, query, ranked, deadline)
            # What was superseded during this search is gone from the hits, or was erased before it could be one, and
            # what came in its place was hidden when it began: look again, so that the reader sees one of the two.
            if settled or time.monotonic() >= deadline:
                break
        if not settled:
            ranked.explanation.problems.append("The documents changed during the search: some hits may be missing.")
        await self._touch(view)
        self._traffic.observe(view, version, query, ranked)
        return Results(hits, query.queries, version.id, ranked.explanation)

    async def _ranked(self, view: View, version: Version, query: Query, deadline: float) -> tuple[Ranked, bool]:
        """What the version finds, and whether it can be read; one that cannot is reported, and said to be partial."""
        try:
            if view.restoring is None:
                await self._count(version, view.store_id, deadline)
            ranked = await self._ranker.ranked(version, view.hidden, query, max(0.0, deadline - time.monotonic()))
        except IndexDamaged as damage:
            if view.restoring is None:
                with contextlib.suppress(StorageFull):  # a worker will find it too
                    await report(self._database, version.id, view.fence_of(version), damage)
            ranked, readable = Ranked({}, {}), False
            ranked.explanation.problems.append(damage.message)
        else:
            readable = True
        if view.restoring is not None and version == view.version:
            ranked.explanation.problems.append(
                f"The index is being restored: {view.restoring.done} of {view.restoring.total} documents "
                "can be found at most. Ask again later."
            )
        return ranked, readable

    async def _count(self, version: Version, store_id: str, deadline: float) -> None:
        """Once for all searches. Raises as `counted` does; what is not done in time goes on for the next of them."""
        count = self._counts.get(version.id)
        if count is None:
            count = asyncio.create_task(counted(self._database, self._ranker.engine, version, store_id))
            count.add_done_callback(partial(self._on_counted, version.id))
            self._counts[version.id] = count
        if not count.done():
            await asyncio.wait([count], timeout=deadline - time.monotonic())
        if count.done():
            count.result()

    def _on_counted(self, version_id: str, count: asyncio.Task[None]) -> None:
        if count.cancelled() or count.exception() is not None:
            self._counts.pop(version_id, None)  # it is for those who wait now: the next one counts again

    async def _hits(
        self, view: View, version: Version, query: Query, ranked: Ranked, deadline: float
    ) -> tuple[list[Hit], bool]:
        """The hits in their final order, and whether nothing happened meanwhile that could have changed them."""
        began = time.perf_counter()
        seen = await self._sighting(view, version, list(ranked.scores)[: self._refiner.wanted(query)])
        hits = _hits(view, version, query, ranked, seen)
        ranked.explanation.note("read", began, f"{len(hits)} chunks")
        if self._refiner.changes(query) and seen.settled:
            within_s = deadline - time.monotonic()
            hits = await self._refiner.refined(view, version, query, hits, within_s, ranked.explanation)
            seen = await self._sighting(view, version, [hit.chunk.id for hit in hits])  # it took time: look once more
            hits = [hit for hit in hits if hit.chunk.id in seen.chunks]
        return [hit for hit in hits if hit.scores.final >= query.score_threshold][: query.limit], seen.settled

    async def _sighting(self, view: View, version: Version, chunk_ids: list[str]) -> Sighting:
        look = partial(visibility.sighting, view=view, chunk_ids=chunk_ids, version=version)
        return await self._database.snapshot(look)

    async def _touch(self, view: View) -> None:
        """Note that the store is in use, for `expires_after`; once a minute, so that a search is not a write."""
        if not view.reused and time.time() - view.last_active_at > _TOUCH_S:
            with contextlib.suppress(StorageFull):  # a full disk is no reason not to search
                async with self._database.write() as session:
                    await stores.touch(session, [view.store_id])


def _hits(view: View, version: Version, query: Query, ranked: Ranked, seen: Sighting) -> list[Hit]:
    hits = []
    for chunk_id, scores in ranked.scores.items():
        row = seen.chunks.get(chunk_id)
        # The engine filtered already; attributes may have changed since, and a wrong filter must never leak (I9).
        if row is None or not (query.where is None or matches(query.where, row.attributes)):
            continue
        hits.append(
            Hit(
                chunk=row.chunk,
                scores=scores,
                store_id=view.store_id,
                index_version=version.id,
                file_id=row.file_id,
                filename=row.filename,
                key=row.key,
                attributes=row.attributes,
            )
        )
    return hits
