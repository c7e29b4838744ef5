"""Puts the same questions to two versions of a store, and gathers what the gate judges by."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from evaluation.evidence import Comparison, Evidence, Found, Results
from evaluation.golden import GoldenQuery
from evaluation.rankings import overlap, rank_biased_overlap
from indexes.catalog import chunks, observed, visibility
from indexes.catalog.database import Database
from indexes.catalog.tables import IndexVersion
from indexes.catalog.versions import Version, opened_as
from indexes.catalog.visibility import View, Visible
from retrieval.query import Query
from retrieval.ranking import Ranked, Ranker

_DEPTH = 60
_NEAREST = 10
_MOST_EXACT = 50
"""Searches that compare every point; recall is known well enough after so many."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query: of a golden set, or with nothing known of it."""

    id: str
    text: str
    golden: GoldenQuery | None = None


@dataclass(frozen=True, slots=True)
class Trials:
    """How a candidate did on live queries, beside the live version (shadow) or in its place (canary)."""

    shadows: int
    canaries: int
    mean_overlap: float | None
    mean_rank_biased_overlap: float | None
    live_ms: float | None
    candidate_ms: float | None


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares for one process. Questions are asked one at a time, so that live searches go on."""

    database: Database
    ranker: Ranker

    async def evidence(
        self, project: str, baseline: IndexVersion, candidate: IndexVersion, questions: Sequence[Question]
    ) -> Evidence:
        """What both versions of a store answer to the questions, how exact the candidate's search is, their sizes."""
        live, new = opened_as(baseline), opened_as(candidate)
        store_id = candidate.store_id
        for version in (live, new):
            await self.ranker.warm(version)
        async with self.database.read() as session:
            extents = [await chunks.extent(session, store_id, one.manifest.cut) for one in (live, new)]
        view = await self.database.snapshot(partial(visibility.view, project=project, store_id=store_id))
        queries, recalls = [], []
        for number, question in enumerate(questions):
            query = Query((question.text,), limit=_DEPTH)
            # Before the searches, which find the vectors made: the same model must not seem faster the second time.
            live_ms = await self._embedding_ms(live, query)
            same = live.manifest.embedding == new.manifest.embedding
            new_ms = live_ms if same else await self._embedding_ms(new, query)
            before = await self._results(live, view, query, live_ms)
            after = await self._results(new, view, query, new_ms)
            queries.append(Comparison(question.id, question.text, before, after, question.golden))
            if number < _MOST_EXACT:
                recalls.append(await self._recall(new, view.hidden, query))
        return Evidence(
            queries=queries,
            ann_recall=recalls,
            live_bytes=extents[0].chunks * live.manifest.bytes_per_chunk,
            candidate_bytes=extents[1].chunks * new.manifest.bytes_per_chunk,
            same_chunks=live.manifest.cut == new.manifest.cut,
        )

    async def trials(self, baseline: IndexVersion, candidate: IndexVersion) -> Trials:
        """What live traffic has shown."""
        async with self.database.read() as session:
            rows = await observed.trials(session, candidate.id, baseline.id)
        shadows = [row for row in rows if row.kind == "shadow"]
        pairs = [(row.baseline_ranking, row.candidate_ranking) for row in shadows]
        return Trials(
            shadows=len(shadows),
            canaries=len(rows) - len(shadows),
            mean_overlap=_mean([overlap(one, other, _NEAREST) for one, other in pairs]),
            mean_rank_biased_overlap=_mean([rank_biased_overlap(one, other) for one, other in pairs]),
            live_ms=_mean([row.baseline_ms for row in shadows if row.baseline_ms is not None]),
            candidate_ms=_mean([row.candidate_ms for row in rows]),
        )

    async def _embedding_ms(self, version: Version, query: Query) -> float:
        began = time.perf_counter()
        await self.ranker.vectors(version, query)
        return (time.perf_counter() - began) * 1000

    async def _results(self, version: Version, view: View, query: Query, embedding_ms: float) -> Results:
        ranked = await self.ranker.ranked(version, view.hidden, query)
        wanted = list(ranked.scores)[: query.limit]
        seen = await self.database.snapshot(partial(visibility.sighting, view=view, chunk_ids=wanted))
        return Results(_found(ranked, seen.chunks), embedding_ms + ranked.search_ms)

    async def _recall(self, version: Version, hidden: Sequence[str], query: Query) -> float:
        (vector,) = await self.ranker.vectors(version, query)
        index = await asyncio.to_thread(self.ranker.engine.open, version.id, version.manifest)
        found = await asyncio.to_thread(index.dense, vector, _NEAREST, None, hidden)
        exact = await asyncio.to_thread(index.dense, vector, _NEAREST, None, hidden, exact=True)
        return overlap([one.chunk_id for one in exact], [one.chunk_id for one in found], _NEAREST)


def _found(ranked: Ranked, seen: Mapping[str, Visible]) -> tuple[Found, ...]:
    return tuple(
        Found(seen[chunk_id].key, chunk_id, scores) for chunk_id, scores in ranked.scores.items() if chunk_id in seen
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
