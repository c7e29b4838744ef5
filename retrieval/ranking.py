"""Ranks the chunks of one index version for a question: embed, find by meaning and by words, fuse.

The search by words goes on while the question is embedded, which takes longest.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TypeVar

from indexes.catalog.database import Database
from indexes.catalog.versions import Version
from indexes.embedders.models import Models
from indexes.errors import CitewellError, IndexDamaged, ManifestMismatch, NotFound, SettingsError, Unavailable
from indexes.index import Engine, Index
from indexes.lexical import Analyser
from indexes.manifest import LexicalSpec
from indexes.model import Match, Matches, Scores, Vector
from indexes.standing import opened
from retrieval.explanation import Explanation
from retrieval.familiarity import familiarity
from retrieval.fuse import fuse
from retrieval.query import Query
from retrieval.recall import RecallWatch, Replay
from retrieval.settings import SearchSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranked:
    """Chunks by id, best first, with the revision that each is of."""

    scores: dict[str, Scores]
    revisions: dict[str, str]
    explanation: Explanation = field(default_factory=Explanation)

    @property
    def search_ms(self) -> float:
        """What the index took, without the embedding."""
        return self.explanation.ms("dense", "lexical")

    def documents(self) -> list[str]:
        """The revisions in the order of their best chunks."""
        return list(dict.fromkeys(self.revisions[chunk_id] for chunk_id in self.scores))


@dataclass(frozen=True, slots=True)
class Ranker:
    """Ranks for one process."""

    engine: Engine
    models: Models
    settings: SearchSettings
    recall: RecallWatch | None = None
    database: Database | None = None

    async def ranked(
        self, version: Version, hidden: Sequence[str], query: Query, within_s: float | None = None
    ) -> Ranked:
        """The chunks for `query`, none of a revision in `hidden`. Nothing is found in a version never written to.

        Given `within_s`, one of the two searches alone decides where the other is not done by then, or the model does
        not answer or is not installed, and the explanation says so. Raises Unavailable where neither is done, and
        IndexDamaged where the version is gone or cannot be read. Without `within_s` raises whatever the model raises.
        """
        run = _Run(self, version, hidden, query, max(self.settings.candidates, query.limit * 2))
        by_meaning, by_words = self._weights(query)
        found = await run.found(within_s, by_meaning=by_meaning > 0, by_words=by_words > 0)
        dense, lexical = found.get("meaning", []), found.get("words", [])
        scores = await self._fused(run, dense, lexical, by_meaning, by_words)
        return Ranked(scores, {match.chunk_id: match.revision_id for match in (*lexical, *dense)}, run.explanation)

    async def vectors(self, version: Version, query: Query) -> Vector:
        """The vector of each form of the question, as the version's model makes them. Raises as `Models.embedder`."""
        embedder = await self.models.embedder(version.manifest.embedding)
        return await embedder.queries(query.queries)

    async def warm(self, version: Version) -> None:
        """Open the version and load its model, so that the first query is as fast as the next."""
        await self.ranked(version, (), Query(("warm",), limit=1))

    async def _fused(
        self, run: "_Run", dense: list[Match], lexical: list[Match], by_meaning: float, by_words: float
    ) -> dict[str, Scores]:
        began = time.perf_counter()
        if dense and run.query.dense_weight is None:  # what a request says counts as it stands
            embedder = await self.models.embedder(run.version.manifest.embedding)
            by_meaning *= familiarity(" ".join(run.query.queries), embedder.tokenizer)
        fused = fuse(
            dense,
            lexical,
            limit=run.limit,
            fusion=self.settings.fusion,
            rrf_k=self.settings.rrf_k,
            dense_weight=by_meaning,
            lexical_weight=by_words,
        )
        found = f"{len(dense)} by meaning, {len(lexical)} by words, {len(fused)} together"
        run.explanation.note("fuse", began, found)
        return fused

    def _weights(self, query: Query) -> tuple[float, float]:
        dense = self.settings.dense_weight if query.dense_weight is None else query.dense_weight
        lexical = self.settings.lexical_weight if query.lexical_weight is None else query.lexical_weight
        return dense, lexical


@dataclass(frozen=True, slots=True)
class _Run:
    """One query on one version: its two searches."""

    ranker: Ranker
    version: Version
    hidden: Sequence[str]
    query: Query
    limit: int
    explanation: Explanation = field(default_factory=Explanation)

    async def found(self, within_s: float | None, *, by_meaning: bool, by_words: bool) -> dict[str, list[Match]]:
        """What the searches that are wanted found, by `meaning` and by `words`.

        Given `within_s`, one that is late or cannot be done is left out and noted as a problem, as long as another is
        done.
        """
        searches: dict[str, asyncio.Task[list[Match] | CitewellError]] = {}
        if by_words:
            searches["words"] = asyncio.create_task(_outcome(self.lexical))
        if by_meaning:
            searches["meaning"] = asyncio.create_task(_outcome(self.dense))
        try:
            if searches:
                await asyncio.wait(searches.values(), timeout=within_s, return_when=asyncio.FIRST_EXCEPTION)
            outcomes = {how: search.result() if search.done() else _late(how) for how, search in searches.items()}
        finally:
            for search in searches.values():
                search.cancel()
                search.add_done_callback(_heard)
        failures = {how: outcome for how, outcome in outcomes.items() if isinstance(outcome, CitewellError)}
        for how, error in failures.items():
            if within_s is None:
                raise error
            if len(failures) == len(outcomes):
                raise Unavailable(error.message) from error
            (other,) = outcomes.keys() - {how}
            self.explanation.problems.append(f"Found by {other} alone: {error.message}")
        return {how: outcome for how, outcome in outcomes.items() if not isinstance(outcome, CitewellError)}

    async def dense(self) -> Matches:
        """By meaning."""
        began = time.perf_counter()
        vectors = await self.ranker.vectors(self.version, self.query)
        self.explanation.note("embed", began, self.version.manifest.embedding.name)
        began = time.perf_counter()
        nearest = await self._asked(partial(self._nearest, vectors))
        if nearest is None:
            return Matches()
        index, found = nearest
        self.explanation.note("dense", began, found[0].how)
        if self.ranker.recall is not None and found[0].how != "exact":
            replay = Replay(self.version.id, index, vectors[0], self.query.where, self.hidden, found[0])
            self.ranker.recall.consider(replay)
        return Matches(_merged(found, self.limit), found[0].how)

    async def lexical(self) -> list[Match]:
        """By words."""
        began = time.perf_counter()
        found = await self._asked(self._sharing_words) or []
        self.explanation.note("lexical", began, f"BM25, {self.version.manifest.lexical.language}")
        return _merged(found, self.limit)

    async def _asked(self, ask: Callable[[], T]) -> T | None:
        """What the engine answers, from a thread; None where the version was never written to.

        Raises IndexDamaged where it was, by a catalog that is there to be asked.
        """
        try:
            return await asyncio.to_thread(ask)
        except NotFound:
            if self.ranker.database is not None:
                with contextlib.suppress(NotFound):
                    await opened(self.ranker.database, self.ranker.engine, self.version)
            return None

    def _nearest(self, vectors: Vector) -> tuple[Index, list[Matches]]:
        index = self._open()
        return index, [index.dense(vector, self.limit, self.query.where, self.hidden) for vector in vectors]

    def _sharing_words(self) -> list[list[Match]]:
        index, analyser = self._open(), _analyser(self.version.manifest.lexical)
        terms = [analyser.query(text) for text in self.query.queries]
        return [index.lexical(one, self.limit, self.query.where, self.hidden) for one in terms]

    def _open(self) -> Index:
        return self.ranker.engine.open(self.version.id, self.version.manifest)


async def _outcome(search: Callable[[], Awaitable[list[Match]]]) -> list[Match] | CitewellError:
    """What a search found, or why it could not. Raises what no other search can make up for."""
    try:
        return await search()
    except IndexDamaged:
        raise
    except (Unavailable, NotFound, ManifestMismatch, SettingsError) as error:  # no model, for now or as things are set
        return error


def _late(how: str) -> CitewellError:
    return Unavailable(f"The search by {how} was not done in time.")


def _heard(search: asyncio.Task[list[Match] | CitewellError]) -> None:
    """Where both searches failed, one error is enough; nobody waits for that of one that was late."""
    if not search.cancelled():
        search.exception()


def _merged(lists: Sequence[list[Match]], limit: int) -> list[Match]:
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
