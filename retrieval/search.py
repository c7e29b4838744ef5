"""From a question to ranked hits: embed, find by meaning and by words, fuse, and check against the catalog."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from indexes.catalog import stores, visibility
from indexes.catalog.database import Database
from indexes.catalog.visibility import View, Visible
from indexes.embedders.models import Models
from indexes.errors import NotFound, Unavailable
from indexes.filters import Filter, matches
from indexes.index import Engine, Index
from indexes.lexical import Analyser
from indexes.manifest import LexicalSpec
from indexes.model import Hit, Match, Scores, SparseVector, Vector
from retrieval.fuse import reciprocal_rank
from retrieval.settings import SearchSettings

log = logging.getLogger(__name__)
_TRIES = 4
_TOUCH_S = 60.0


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for in one store. `queries` are one question, possibly put in several ways.

    `dense_weight` and `lexical_weight` override the settings; a weight of 0 leaves that search out. Hits whose fused
    score is below `score_threshold` (0..1) are left out.
    """

    queries: tuple[str, ...]
    limit: int
    where: Filter | None = None
    score_threshold: float = 0.0
    dense_weight: float | None = None
    lexical_weight: float | None = None


class Searcher:
    """Searches stores for one process."""

    def __init__(self, database: Database, engine: Engine, models: Models, settings: SearchSettings) -> None:
        self._database = database
        self._engine = engine
        self._models = models
        self._settings = settings

    async def search(self, project: str, store_id: str, query: Query) -> list[Hit]:
        """The best hits first. Every hit is of a revision that was current when the search ended (I4).

        Raises NotFound for an unknown store and Unavailable past the time limit.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._search(project, store_id, query)
        except TimeoutError as error:
            raise Unavailable(
                f"The search took longer than {self._settings.timeout_s:g} s and was given up. Try again."
            ) from error

    async def _search(self, project: str, store_id: str, query: Query) -> list[Hit]:
        for attempt in range(_TRIES):
            async with self._database.read() as session:
                view = await visibility.view(session, project, store_id)
            await self._touch(view)
            ranked = await self._ranked(view, query)
            async with self._database.read() as session:
                found = await visibility.visible(session, store_id, ranked)
                missed = await visibility.any_visible(session, view.hidden)
            # What was superseded during this search is gone from the hits, or was erased before it could be one, and
            # what came in its place was hidden when it began: look again, so that the reader sees one of the two.
            if (len(found) == len(ranked) and not missed) or attempt == _TRIES - 1:
                break
        return _hits(view, query, ranked, found)

    async def _touch(self, view: View) -> None:
        """Note that the store is in use, for `expires_after`; once a minute, so that a search is not a write."""
        if time.time() - view.last_active_at > _TOUCH_S:
            async with self._database.write() as session:
                await stores.touch(session, [view.store_id])

    async def _ranked(self, view: View, query: Query) -> dict[str, Scores]:
        try:
            index = await asyncio.to_thread(self._engine.open, view.version.id, view.version.manifest)
        except NotFound:
            return {}  # nothing was ever written to this version
        dense_weight, lexical_weight = self._weights(query)
        vectors: Sequence[Vector] = list(await self._vectors(view, query)) if dense_weight else []
        analyser = _analyser(view.version.manifest.lexical)
        terms = [analyser.query(text) for text in query.queries] if lexical_weight else []
        limit = max(self._settings.candidates, query.limit * 2)
        dense, lexical = await asyncio.to_thread(_find, index, vectors, terms, limit, query.where, view.hidden)
        fused = reciprocal_rank(
            dense, lexical, k=self._settings.rrf_k, dense_weight=dense_weight, lexical_weight=lexical_weight
        )
        kept = [(key, scores) for key, scores in fused.items() if scores.fused >= query.score_threshold]
        return dict(kept[: query.limit])

    async def _vectors(self, view: View, query: Query) -> Vector:
        embedder = await self._models.embedder(view.version.manifest.embedding)
        return await embedder.queries(query.queries)

    def _weights(self, query: Query) -> tuple[float, float]:
        dense = self._settings.dense_weight if query.dense_weight is None else query.dense_weight
        lexical = self._settings.lexical_weight if query.lexical_weight is None else query.lexical_weight
        return dense, lexical


def _find(
    index: Index,
    vectors: Sequence[Vector],
    terms: list[SparseVector],
    limit: int,
    where: Filter | None,
    hidden: Sequence[str],
) -> tuple[list[Match], list[Match]]:
    """Both searches for every form of the question, each merged into one list."""
    dense = [index.dense(vector, limit, where, hidden) for vector in vectors]
    lexical = [index.lexical(term, limit, where, hidden) for term in terms]
    return _merged(dense, limit), _merged(lexical, limit)


def _merged(lists: list[list[Match]], limit: int) -> list[Match]:
    if len(lists) == 1:
        return lists[0]
    best: dict[str, Match] = {}
    for match in (match for found in lists for match in found):
        if match.chunk_id not in best or match.score > best[match.chunk_id].score:
            best[match.chunk_id] = match
    return sorted(best.values(), key=lambda match: (-match.score, match.chunk_id))[:limit]


def _hits(view: View, query: Query, ranked: dict[str, Scores], found: dict[str, Visible]) -> list[Hit]:
    hits = []
    for chunk_id, scores in ranked.items():
        row = found.get(chunk_id)
        # The engine filtered already; attributes may have changed since, and a wrong filter must never leak (I9).
        if row is None or not (query.where is None or matches(query.where, row.attributes)):
            continue
        hits.append(
            Hit(
                chunk=row.chunk,
                scores=scores,
                store_id=view.store_id,
                index_version=view.version.id,
                file_id=row.file_id,
                filename=row.filename,
                key=row.key,
                attributes=row.attributes,
            )
        )
    return hits


@lru_cache(maxsize=64)
def _analyser(spec: LexicalSpec) -> Analyser:
    return Analyser(spec)
