"""What the platform adds to a search of the bare engine, in this process and over HTTP.

    python -m bench.search --data ../shared/data [--cache .citewell/bench] [--large] [--queries 300]

In this process: `Searcher.search` beside the engine's own dense and sparse query on the same shard, with the query's
vector given, on made-up chunks: 10,000, with --large 100,000 too. Over HTTP: SciFact with the real model, beside
`SentenceTransformer.encode` and those two queries. All take turns on each query: read what is over, and the ratios.
The first run fills the cache, which takes minutes.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from qdrant_edge import EdgeShard, IdfParams, QueryRequest, SearchParams
from qdrant_edge import Filter as EdgeFilter
from qdrant_edge import Query as EdgeQuery
from qdrant_edge import SparseVector as EdgeSparse

from bench.home import PROJECT, STORE, VERSION, Home
from bench.judged import scifact
from bench.report import print_heading, print_table
from bench.service import Service, serving
from bench.synthetic import Question, Synthetic
from bench.timing import Times, take_turns
from indexes.catalog import visibility
from indexes.embedders.weights import MINILM, resolve
from indexes.engines.points import DENSE, LEXICAL
from indexes.lexical import Analyser
from indexes.manifest import EmbeddingSpec
from indexes.model import SparseVector, Vector
from retrieval.fuse import reciprocal_rank
from retrieval.search import Query, Searcher
from retrieval.settings import SearchSettings

LIMIT = 10
CLIENTS = 8
BARE, WHOLE = "bare engine: dense + sparse query", "Searcher.search"
_WARM = 20  # queries before the first that counts
_SETTINGS = SearchSettings()
_LIVE = SearchParams(idf=IdfParams(corpus=EdgeFilter()))  # as the platform asks


class Given:
    """Stands for the models where a query's vector is known: what is timed then is the search alone."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._vectors = {question.text: question.vector for question in questions}

    async def embedder(self, _spec: EmbeddingSpec) -> "Given":
        """Itself."""
        return self

    async def queries(self, texts: Sequence[str]) -> Vector:
        """As `BatchingEmbedder.queries`."""
        return np.stack([self._vectors[text] for text in texts])


def bare(shard: EdgeShard, vector: Vector, terms: SparseVector) -> None:
    """What nobody can leave out: one dense and one sparse query for as many candidates, ids and scores only."""
    limit = _SETTINGS.candidates
    shard.query(QueryRequest(query=EdgeQuery.Nearest(vector.tolist(), using=DENSE), limit=limit))
    sparse = EdgeSparse(indices=list(terms.indices), values=list(terms.values))
    shard.query(QueryRequest(query=EdgeQuery.Nearest(sparse, using=LEXICAL), limit=limit, params=_LIVE))


class Steps:
    """The parts of one search, each by itself, in the order in which a search takes them."""

    def __init__(self, home: Home, questions: Sequence[Question]) -> None:
        self._home = home
        self._index = home.index
        self._analyser = Analyser(home.manifest.lexical)
        self._searcher = Searcher(home.database, home.engine, Given(questions), _SETTINGS)  # type: ignore[arg-type]

    async def whole(self, question: Question) -> None:
        """The search."""
        await self._searcher.search(PROJECT, STORE, Query((question.text,), LIMIT))

    async def bare(self, question: Question) -> None:
        """The engine alone."""
        with self._index.version.reading() as shard:
            bare(shard, question.vector, self._analyser.query(question.text))

    async def view(self, _question: Question) -> None:
        """Which version answers, and what is hidden."""
        async with self._home.database.read() as session:
            await visibility.view(session, PROJECT, STORE)

    async def open(self, _question: Question) -> None:
        """The version, open already, and one change of threads."""
        await asyncio.to_thread(self._home.engine.open, VERSION, self._home.manifest)
