"""What becomes of fused hits before they are handed out: reranked, spread over documents and topics, joined."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from indexes.catalog import surroundings
from indexes.catalog.database import Database
from indexes.catalog.surroundings import Surroundings
from indexes.catalog.versions import Version
from indexes.catalog.visibility import View
from indexes.errors import NotFound, Unavailable
from indexes.index import Engine
from indexes.model import Hit
from retrieval.diversify import capped, mmr
from retrieval.explanation import Explanation
from retrieval.neighbours import joined
from retrieval.query import Query
from retrieval.rerank import Reranking

_SPREAD_OVER = 4  # hits to choose from for each one asked for: what one document takes up may be left out


@dataclass(frozen=True, slots=True)
class Refiner:
    """Refines for one process. `read_text` reads the canonical text that a blob holds, and blocks."""

    database: Database
    engine: Engine
    reranking: Reranking
    read_text: Callable[[str], str]

    def wanted(self, query: Query) -> int:
        """How many fused hits it needs to answer the query."""
        spread = _SPREAD_OVER * query.limit if query.diversity or query.max_per_document else query.limit
        return max(spread, self.reranking.candidates if query.rerank else 0)

    def changes(self, query: Query) -> bool:
        """Whether it does anything for this query, which takes time after the hits were read."""
        reranks = query.rerank and self.reranking.candidates > 0
        return bool(reranks or query.diversity or query.max_per_document or query.neighbours)

    async def refined(
        self, view: View, version: Version, query: Query, hits: list[Hit], within_s: float, explanation: Explanation
    ) -> list[Hit]:
        """The best `query.limit` of the hits, in their final order. What cannot be done, or not `within_s`, is left out
        and noted as a problem: the hits are there already."""
        deadline = time.monotonic() + within_s
        if not hits:
            return hits
        if query.rerank and self.reranking.candidates:
            hits = await self._reranked(query, hits, within_s, explanation)
        if query.max_per_document is not None:
            kept = capped([hit.chunk.id for hit in hits], _keys(hits), most=query.max_per_document)
            hits = _ordered(hits, kept)
        if query.diversity:
            spread = self._diversified(version, query, hits, explanation)
            hits = await _done("diversified", spread, hits, deadline, explanation)
        hits = hits[: query.limit]
        if query.neighbours:
            whole = self._joined(view, version, query, hits, explanation)
            hits = await _done("joined with their neighbours", whole, hits, deadline, explanation)
        return hits

    async def _reranked(self, query: Query, hits: list[Hit], within_s: float, explanation: Explanation) -> list[Hit]:
        began = time.perf_counter()
        ranked = await self.reranking.rank(query.queries[0], hits, within_s)
        explanation.note("rerank", began, f"{ranked.model}, {ranked.reranked} of {len(hits)}")
        if ranked.problem is not None:
            explanation.problems.append(f"Not all hits were reranked: {ranked.problem}")
        # Those behind must not score above those in front of them, by another scale.
        lowest = min((hit.scores.final for hit in ranked.hits[: ranked.reranked]), default=1.0)
        behind = [_scaled(hit, lowest) for hit in ranked.hits[ranked.reranked :]] if ranked.reranked else ranked.hits
        return [*ranked.hits[: ranked.reranked], *behind]

    async def _diversified(
        self, version: Version, query: Query, hits: list[Hit], explanation: Explanation
    ) -> list[Hit]:
        began = time.perf_counter()
        index = await asyncio.to_thread(self.engine.open, version.id, version.manifest)
        vectors = await asyncio.to_thread(index.vectors, [hit.chunk.id for hit in hits])
        known = [hit for hit in hits if hit.chunk.id in vectors]
        order = [hit.chunk.id for hit in known]
        relevance = {hit.chunk.id: hit.scores.final for hit in known}
        spread = mmr(order, relevance, [vectors[one] for one in order], trade_off=1 - query.diversity)
        explanation.note("diversify", began, f"{len(known)} hits")
        return _ordered(known, spread)

    async def _joined(
        self, view: View, version: Version, query: Query, hits: list[Hit], explanation: Explanation
    ) -> list[Hit]:
        began = time.perf_counter()
        find = partial(
            surroundings.around,
            view=view,
            cut=version.manifest.cut,
            chunks=[hit.chunk for hit in hits],
            reach=query.neighbours,
        )
        around = await self.database.snapshot(find)
        texts = await asyncio.to_thread(self._texts, around)
        passages = joined(hits, {key: one.chunks for key, one in around.items()}, texts)
        explanation.note("join", began, f"{len(hits)} hits to {len(passages)} passages")
        return [passage.hit for passage in passages]

    def _texts(self, around: Mapping[str, Surroundings]) -> dict[str, str]:
        texts = {}
        for revision_id, one in around.items():
            with suppress(NotFound):  # deleted at this moment: the last look will leave its hits out
                texts[revision_id] = self.read_text(one.text_blob)
        return texts


async def _done(
    what: str, step: Awaitable[list[Hit]], hits: list[Hit], deadline: float, explanation: Explanation
) -> list[Hit]:
    """The hits as a step leaves them, or as they were."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await step
    except TimeoutError:
        why = "The time was up."
    except (NotFound, Unavailable) as error:  # the version was there a moment ago
        why = error.message
    explanation.problems.append(f"The hits were not {what}: {why}")
    return hits


def _keys(hits: list[Hit]) -> dict[str, str]:
    return {hit.chunk.id: hit.key for hit in hits}


def _ordered(hits: list[Hit], chunk_ids: list[str]) -> list[Hit]:
    by_id = {hit.chunk.id: hit for hit in hits}
    return [by_id[chunk_id] for chunk_id in chunk_ids]


def _scaled(hit: Hit, most: float) -> Hit:
    return replace(hit, scores=hit.scores._replace(behind=most))
