"""One search in this process: whole, the engine alone, and part by part."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import numpy as np
from qdrant_edge import EdgeShard, IdfParams, QueryRequest, SearchParams
from qdrant_edge import Filter as EdgeFilter
from qdrant_edge import Query as EdgeQuery
from qdrant_edge import SparseVector as EdgeSparse

from bench.home import PROJECT, STORE, VERSION, Home
from bench.synthetic import Question
from indexes.catalog import visibility
from indexes.embedders.hashing import WordTokenizer
from indexes.engines.points import DENSE, LEXICAL
from indexes.lexical import Analyser
from indexes.manifest import EmbeddingSpec
from indexes.model import Match, SparseVector, Vector
from retrieval.fuse import reciprocal_rank
from retrieval.query import Query
from retrieval.search import Searcher
from retrieval.settings import SearchSettings

LIMIT = 10
SETTINGS = SearchSettings()
BARE, WHOLE = "bare engine: dense + sparse query", "Searcher.search"
_LIVE = SearchParams(idf=IdfParams(corpus=EdgeFilter()))  # as the platform asks


def query_engine(shard: EdgeShard, vector: Vector, terms: SparseVector) -> None:
    """What nobody can leave out: one dense and one sparse query for as many candidates, ids and scores only."""
    limit = SETTINGS.candidates
    shard.query(QueryRequest(query=EdgeQuery.Nearest(vector.tolist(), using=DENSE), limit=limit))
    sparse = EdgeSparse(indices=list(terms.indices), values=list(terms.values))
    shard.query(QueryRequest(query=EdgeQuery.Nearest(sparse, using=LEXICAL), limit=limit, params=_LIVE))


class Steps:
    """The whole search with the query's vector given, the bare engine on the same shard, and each step by itself."""

    def __init__(self, home: Home, questions: Sequence[Question]) -> None:
        self._home = home
        self._index = home.index
        self._analyser = Analyser(home.manifest.lexical)
        self._searcher = Searcher.unobserved(home.database, home.engine, _Given(questions), SETTINGS)  # type: ignore[arg-type]
        self._found = {question: self._find(question) for question in questions}

    @property
    def rivals(self) -> dict[str, Callable[[Question], Awaitable[object]]]:
        """By name; steps in the order in which a search takes them."""
        return {
            BARE: self._bare,
            WHOLE: self._whole,
            "  catalog: live version, hidden": self._view,
            "  change to a thread and back": self._thread,
            "  open the version, in a thread": self._open,
            "  terms of the query": self._terms,
            "  engine through the index": self._engine,
            "  fuse": self._fuse,
            "  catalog: chunks of the hits": self._visible,
        }

    async def _bare(self, question: Question) -> None:
        with self._index.version.reading() as shard:
            query_engine(shard, question.vector, self._analyser.query(question.text))

    async def _whole(self, question: Question) -> None:
        await self._searcher.search(PROJECT, STORE, Query((question.text,), LIMIT))

    async def _view(self, _question: Question) -> None:
        view = partial(visibility.view, project=PROJECT, store_id=STORE)
        self._seen = await self._home.database.snapshot(view)

    async def _thread(self, _question: Question) -> None:
        await asyncio.to_thread(lambda: None)

    async def _open(self, _question: Question) -> None:
        await asyncio.to_thread(self._home.engine.open, VERSION, self._home.manifest)

    async def _terms(self, question: Question) -> None:
        self._analyser.query(question.text)

    async def _engine(self, question: Question) -> None:
        self._find(question)

    async def _fuse(self, question: Question) -> None:
        dense, lexical = self._found[question]
        reciprocal_rank(dense, lexical, k=SETTINGS.rrf_k, dense_weight=1, lexical_weight=1)

    async def _visible(self, question: Question) -> None:
        dense, _ = self._found[question]
        wanted = [match.chunk_id for match in dense[:LIMIT]]
        await self._home.database.snapshot(partial(visibility.sighting, view=self._seen, chunk_ids=wanted))

    def _find(self, question: Question) -> tuple[list[Match], list[Match]]:
        terms = self._analyser.query(question.text)
        return (
            self._index.dense(question.vector, SETTINGS.candidates),
            self._index.lexical(terms, SETTINGS.candidates),
        )


class _Given:
    """Stands for the models where a query's vector is known: what is timed then is the search alone."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._vectors = {question.text: question.vector for question in questions}
        self.tokenizer = WordTokenizer()

    async def embedder(self, _spec: EmbeddingSpec) -> "_Given":
        return self

    async def queries(self, texts: Sequence[str]) -> Vector:
        return np.stack([self._vectors[text] for text in texts])
