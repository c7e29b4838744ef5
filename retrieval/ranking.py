"""Ranks the chunks of one index version for a question: embed, find by meaning and by words, fuse."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from indexes.catalog.versions import Version
from indexes.embedders.models import Models
from indexes.errors import NotFound
from indexes.filters import Filter
from indexes.index import Engine, Index
from indexes.lexical import Analyser
from indexes.manifest import LexicalSpec
from indexes.model import Match, Scores, SparseVector, Vector
from retrieval.familiarity import familiarity
from retrieval.fuse import fuse
from retrieval.query import Query
from retrieval.settings import SearchSettings


@dataclass(frozen=True, slots=True)
class Ranked:
    """Chunks by id, best first, with the revision that each is of. `search_ms` leaves the embedding out."""

    scores: dict[str, Scores]
    revisions: dict[str, str]
    search_ms: float = 0.0

    def documents(self) -> list[str]:
        """The revisions in the order of their best chunks."""
        return list(dict.fromkeys(self.revisions[chunk_id] for chunk_id in self.scores))


@dataclass(frozen=True, slots=True)
class Ranker:
    """Ranks for one process."""

    engine: Engine
    models: Models
    settings: SearchSettings

    async def ranked(self, version: Version, hidden: Sequence[str], query: Query) -> Ranked:
        """The chunks for `query`, none of a revision in `hidden`. Nothing is found in a version never written to."""
        try:
            index = await asyncio.to_thread(self.engine.open, version.id, version.manifest)
        except NotFound:
            return Ranked({}, {})
        dense_weight, lexical_weight = await self._weights(version, query)
        vectors: Sequence[Vector] = list(await self.vectors(version, query)) if dense_weight else []
        analyser = _analyser(version.manifest.lexical)
        terms = [analyser.query(text) for text in query.queries] if lexical_weight else []
        limit = max(self.settings.candidates, query.limit * 2)
        began = time.perf_counter()
        dense, lexical = await asyncio.to_thread(_find, index, vectors, terms, limit, query.where, hidden)
        search_ms = (time.perf_counter() - began) * 1000
        fused = fuse(
            dense,
            lexical,
            fusion=self.settings.fusion,
            rrf_k=self.settings.rrf_k,
            dense_weight=dense_weight,
            lexical_weight=lexical_weight,
        )
        kept = [(key, scores) for key, scores in fused.items() if scores.fused >= query.score_threshold]
        scores = dict(kept[: query.limit])
        revisions = {match.chunk_id: match.revision_id for match in (*dense, *lexical) if match.chunk_id in scores}
        return Ranked(scores, revisions, search_ms)

    async def vectors(self, version: Version, query: Query) -> Vector:
        """The vector of each form of the question, as the version's model makes them."""
        embedder = await self.models.embedder(version.manifest.embedding)
        return await embedder.queries(query.queries)

    async def warm(self, version: Version) -> None:
        """Open the version and load its model, so that the first query is as fast as the next."""
        await self.ranked(version, (), Query(("warm",), limit=1))

    async def _weights(self, version: Version, query: Query) -> tuple[float, float]:
        dense = self.settings.dense_weight if query.dense_weight is None else query.dense_weight
        lexical = self.settings.lexical_weight if query.lexical_weight is None else query.lexical_weight
        if dense and query.dense_weight is None:  # what a request says counts as it stands
            embedder = await self.models.embedder(version.manifest.embedding)
            dense *= familiarity(" ".join(query.queries), embedder.tokenizer)
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


@lru_cache(maxsize=64)
def _analyser(spec: LexicalSpec) -> Analyser:
    return Analyser(spec)
