"""The suite that every vector engine passes. `exact` is the oracle; the others must agree with it."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from indexes.engines.exact_index import ExactEngine
from indexes.engines.faiss_engine import FaissEngine
from indexes.engines.opening import open_engine
from indexes.engines.qdrant_server import QdrantServerEngine
from indexes.engines.remote_index import RemoteEngine
from indexes.engines.settings import (
    ExactEngineSettings,
    FaissEngineSettings,
    QdrantEdgeEngineSettings,
    QdrantServerEngineSettings,
)
from indexes.errors import InvalidRequest, ManifestMismatch, NotFound
from indexes.filters import AllOf, AnyOf, Comparison, Operator, matches
from indexes.ids import chunk_id
from indexes.index import Engine
from indexes.manifest import AnnSpec, Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

DIMENSION = 8
MANIFEST = Manifest(
    parser="plain-1",
    chunker="sentences-1",
    chunking=Chunking(max_tokens=128, overlap_tokens=16),
    embedding=EmbeddingSpec("tiny", "1", "0" * 64, DIMENSION, 128),
)
VERSION = "ixv_1"
REVISIONS = [f"rev_{letter * 24}" for letter in "abcde"]


KINDS = ["exact", "edge", "server", "remote", "faiss"]


class SharedEngine(RemoteEngine):
    """An engine behind a real `citewell retrieval` on a unix socket, which ends with it."""

    def __init__(self, server):
        super().__init__(server.endpoint)
        self._server = server

    def close(self):
        super().close()
        self._server.stop()


class LoadedFaiss(FaissEngine):
    """Its versions are in memory when they are opened, so that no search is left to the engine within."""

    def open(self, version_id, manifest):
        return self._loaded(super().open(version_id, manifest))

    def create(self, version_id, manifest):
        return self._loaded(super().create(version_id, manifest))

    def _loaded(self, index):
        if not index.version.loaded:
            index.version.load()
        return index


@dataclass(frozen=True)
class Place:
    """One kind of engine and where it keeps its data."""

    kind: str
    folder: Path
    retrieval_server: type

    def engine(self) -> Engine:
        match self.kind:
            case "exact":
                return open_engine(ExactEngineSettings(), self.folder)
            case "edge":
                return open_engine(QdrantEdgeEngineSettings(open_shards=2), self.folder)
            case "faiss":
                # Loaded at once, and merged all the time.
                settings = FaissEngineSettings(inner=QdrantEdgeEngineSettings(open_shards=2), merge_after=10)
                return LoadedFaiss(settings, open_engine(settings.inner, self.folder), self.folder / "faiss")
            case "remote":
                edge = open_engine(QdrantEdgeEngineSettings(open_shards=2), self.folder)
                return SharedEngine(self.retrieval_server(edge))
            case _:
                client = QdrantClient(path=str(self.folder), force_disable_check_same_thread=True)
                return QdrantServerEngine(client, QdrantServerEngineSettings(url="http://unused", prefix="test_"))


@pytest.fixture(params=KINDS)
def place(request, tmp_path, retrieval_server):
    return Place(request.param, tmp_path, retrieval_server)


@pytest.fixture
def engine(place):
    engine = place.engine()
    yield engine
    engine.close()


@pytest.fixture
def index(engine):
    return engine.create(VERSION, MANIFEST)


def point(revision, ordinal, rng, attributes=None, terms=None):
    vector = rng.normal(size=DIMENSION).astype(np.float32)
    terms = terms or {int(term): 1 + ordinal / 10 for term in rng.choice(20, size=4, replace=False)}
    return Point(
        chunk_id=chunk_id(revision, "sentences-1", ordinal),
        revision_id=revision,
        vector=vector / np.linalg.norm(vector),
        sparse=SparseVector(tuple(terms), tuple(float(weight) for weight in terms.values())),
        attributes=attributes or {},
    )


def points(count, seed=0, attributes=None):
    rng = np.random.default_rng(seed)
    return [point(REVISIONS[number % len(REVISIONS)], number, rng, attributes) for number in range(count)]


def of(stored, revision):
    return {each.chunk_id for each in stored if each.revision_id == revision}


def ids(found):
    return {match.chunk_id for match in found}


def scores(found):
    return {match.chunk_id: pytest.approx(match.score, abs=1e-4) for match in found}


def oracle(stored):
    index = ExactEngine().create(VERSION, MANIFEST)
    index.upsert(stored)
    return index


def test_an_empty_index_finds_nothing(index):
    assert index.dense(points(1)[0].vector, 10) == []
    assert index.lexical(SparseVector((1, 2), (1.0, 1.0)), 10) == []
    assert index.chunk_ids(REVISIONS[0]) == set()


def test_what_is_stored_is_read_back_and_found_by_its_revision(index):
    stored = points(23)
    index.upsert(stored)
    for revision in REVISIONS:
        assert index.chunk_ids(revision) == of(stored, revision)
    found = index.dense(stored[7].vector, 100)
    assert len(found) == 23
    assert found[0].chunk_id == stored[7].chunk_id
    assert found[0].revision_id == stored[7].revision_id
    assert found[0].score == pytest.approx(1.0, abs=1e-4)
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)


def test_stored_vectors_can_be_had_again(index):
    stored = points(12)
    index.upsert(stored)
    absent = chunk_id("rev_absent", "sentences-1", 0)
    again = index.vectors([absent, *(each.chunk_id for each in stored[:5])])
    assert again.keys() == {each.chunk_id for each in stored[:5]}
    for each in stored[:5]:
        np.testing.assert_allclose(again[each.chunk_id], each.vector, atol=1e-6)
    assert index.vectors([]) == {}


def test_writing_again_changes_nothing_and_replaces_what_differs(index):
    stored = points(10)
    index.upsert(stored)
    index.upsert(stored)
    changed = replace(stored[0], vector=-stored[0].vector, sparse=SparseVector((99,), (2.0,)), attributes={"new": True})
    index.upsert([changed])
    assert len(index.dense(stored[0].vector, 100)) == 10
    assert index.dense(changed.vector, 1)[0].chunk_id == changed.chunk_id
    assert ids(index.lexical(SparseVector((99,), (1.0,)), 10)) == {changed.chunk_id}
    assert ids(index.dense(changed.vector, 10, Comparison("new", Operator.EQ, True))) == {changed.chunk_id}


def test_deleting_removes_one_revision_and_may_be_repeated(index):
    stored = points(20)
    index.upsert(stored)
    for _ in range(2):
        index.delete(REVISIONS[0])
    index.delete("rev_unknown")
    assert index.chunk_ids(REVISIONS[0]) == set()
    assert ids(index.dense(stored[0].vector, 100)) == {each.chunk_id for each in stored[0:]} - of(stored, REVISIONS[0])


def test_attributes_are_replaced_on_every_chunk_of_a_revision(index):
    stored = points(20, attributes={"team": "hr", "year": 2020})
    index.upsert(stored)
    index.set_attributes(REVISIONS[0], {"team": "it", "draft": True})
    mine, vector = of(stored, REVISIONS[0]), stored[0].vector
    assert ids(index.dense(vector, 100, Comparison("team", Operator.EQ, "it"))) == mine
    assert ids(index.dense(vector, 100, Comparison("draft", Operator.EQ, True))) == mine
    assert ids(index.dense(vector, 100, Comparison("year", Operator.NE, 2020))) == mine
    assert not mine & ids(index.dense(vector, 100, Comparison("year", Operator.GT, 0)))
    assert index.chunk_ids(REVISIONS[0]) == mine


def test_hidden_revisions_are_never_found(index):
    stored = points(30, attributes={"team": "hr"})
    index.upsert(stored)
    hidden = REVISIONS[:3]
    seen = of(stored, REVISIONS[3]) | of(stored, REVISIONS[4])
    terms = SparseVector(tuple(range(20)), (1.0,) * 20)
    for where in (None, Comparison("team", Operator.EQ, "hr"), Comparison("team", Operator.NE, "it")):
        assert ids(index.dense(stored[0].vector, 100, where, hidden)) == seen
        assert ids(index.lexical(terms, 100, where, hidden)) == seen
    assert index.dense(stored[0].vector, 100, None, REVISIONS) == []


def test_the_limit_holds_after_filters(index):
    index.upsert([replace(each, attributes={"even": number % 2 == 0}) for number, each in enumerate(points(30))])
    even = Comparison("even", Operator.EQ, True)
    assert len(index.dense(points(1)[0].vector, 7, even, REVISIONS[:1])) == 7
    assert len(index.lexical(SparseVector(tuple(range(20)), (1.0,) * 20), 7, even, REVISIONS[:1])) == 7


def test_dense_and_lexical_scores_are_the_oracles(index):
    stored = points(60)
    index.upsert(stored)
    truth = oracle(stored)
    for query in points(8, seed=1):
        assert scores(index.dense(query.vector, 10)) == scores(truth.dense(query.vector, 10))
        found = index.lexical(query.sparse, 60, None, REVISIONS[:1])
        assert scores(found) == scores(truth.lexical(query.sparse, 60, None, REVISIONS[:1]))


def test_an_exact_search_is_the_oracles_too(index):
    stored = points(60, attributes={"team": "hr"})
    index.upsert(stored)
    truth = oracle(stored)
    where, hidden = Comparison("team", Operator.EQ, "hr"), REVISIONS[:2]
    for query in points(4, seed=1):
        found = index.dense(query.vector, 10, where, hidden, exact=True)
        assert scores(found) == scores(truth.dense(query.vector, 10, where, hidden))
        assert [match.revision_id for match in found] == [
            match.revision_id for match in truth.dense(query.vector, 10, where, hidden, exact=True)
        ]


def test_the_inventory_counts_the_points_of_every_revision(index):
    assert (index.count(), index.inventory()) == (0, {})
    stored = points(23)
    index.upsert(stored)
    index.upsert(stored[:7])
    assert index.inventory() == {revision: len(of(stored, revision)) for revision in REVISIONS}
    assert index.count() == len(stored)
    index.delete(REVISIONS[0])
    index.set_attributes(REVISIONS[1], {"team": "it"})
    assert index.inventory() == {revision: len(of(stored, revision)) for revision in REVISIONS[1:]}
    assert index.count() == len(stored) - len(of(stored, REVISIONS[0]))


def test_pages_read_everything_back_in_the_order_of_ids(index):
    assert index.page().chunk_ids == []
    stored = [
        replace(each, attributes={"n": float(at), "s": "ä", "b": at % 2 == 0}) for at, each in enumerate(points(600))
    ]
    index.upsert(stored)
    pages = [index.page()]
    while pages[-1].next:
        pages.append(index.page(pages[-1].next))
    assert len(pages) > 1
    in_order = sorted(stored, key=lambda each: each.chunk_id)
    assert [key for page in pages for key in page.chunk_ids] == [each.chunk_id for each in in_order]
    assert [key for page in pages for key in page.revision_ids] == [each.revision_id for each in in_order]
    assert [some for page in pages for some in page.attributes] == [each.attributes for each in in_order]
    np.testing.assert_allclose(
        np.vstack([page.vectors for page in pages]), np.vstack([each.vector for each in in_order]), atol=1e-6
    )
    assert set(index.page(None, REVISIONS[:2]).chunk_ids) == of(stored, REVISIONS[0]) | of(stored, REVISIONS[1])


def test_deleted_chunks_no_longer_count_in_lexical_scores(place, index):
    if place.kind == "server":
        pytest.skip("the server cleans up deleted points in its own time")
    stored = points(40)
    index.upsert(stored)
    index.delete(REVISIONS[0])
    truth = oracle([each for each in stored if each.revision_id != REVISIONS[0]])
    for query in points(4, seed=1):
        assert scores(index.lexical(query.sparse, 40)) == scores(truth.lexical(query.sparse, 40))


def test_chunks_without_terms_and_queries_without_terms(index):
    silent = replace(points(1)[0], sparse=SparseVector((), ()))
    index.upsert([silent, *points(5)[1:]])
    assert index.dense(silent.vector, 1)[0].chunk_id == silent.chunk_id
    assert silent.chunk_id not in ids(index.lexical(SparseVector(tuple(range(20)), (1.0,) * 20), 10))
    assert index.lexical(SparseVector((), ()), 10) == []
    assert index.lexical(SparseVector((4_000_000_000,), (1.0,)), 10) == []


def test_equal_scores_come_in_the_order_of_their_ids(index):
    twins = [replace(each, vector=points(1)[0].vector) for each in points(6)]
    index.upsert(twins)
    found = [match.chunk_id for match in index.dense(twins[0].vector, 6)]
    assert found == sorted(found)


def test_vectors_of_another_dimension_and_foreign_ids_are_refused(index):
    with pytest.raises(InvalidRequest, match="8 numbers"):
        index.upsert([replace(points(1)[0], vector=np.ones(4, dtype=np.float32))])
    with pytest.raises(InvalidRequest, match="8 numbers"):
        index.dense(np.ones(4, dtype=np.float32), 1)
    with pytest.raises(InvalidRequest, match="not the id of a chunk"):
        index.upsert([replace(points(1)[0], chunk_id="chunk_7")])


def test_a_version_opens_only_with_the_manifest_that_made_it(engine, index):
    other = replace(MANIFEST, ann=AnnSpec(m=32))
    for call in (engine.open, engine.create):
        assert call(VERSION, MANIFEST) is index
        with pytest.raises(ManifestMismatch):
            call(VERSION, other)


def test_versions_are_separate_and_dropping_one_spares_the_others(engine, index):
    other = engine.create("ixv_2", MANIFEST)
    index.upsert(points(5))
    other.upsert(points(3))
    engine.drop(VERSION)
    engine.drop(VERSION)
    engine.drop("ixv_never")
    assert len(other.dense(points(1)[0].vector, 10)) == 3
    for call in (lambda: engine.open(VERSION, MANIFEST), lambda: index.chunk_ids(REVISIONS[0]), index.inventory):
        with pytest.raises(NotFound):
            call()
    assert engine.create(VERSION, MANIFEST).chunk_ids(REVISIONS[0]) == set()


def test_an_unknown_version_is_not_found(engine):
    with pytest.raises(NotFound, match="ixv_missing"):
        engine.open("ixv_missing", MANIFEST)


def test_everything_is_there_after_a_restart(place):
    if place.kind == "exact":
        pytest.skip("in memory")
    engine = place.engine()
    stored = points(12, attributes={"team": "hr"})
    index = engine.create(VERSION, MANIFEST)
    index.upsert(stored)
    index.delete(REVISIONS[1])
    index.set_attributes(REVISIONS[2], {"year": 1999.5})
    engine.close()
    engine = place.engine()
    with pytest.raises(ManifestMismatch):
        engine.open(VERSION, replace(MANIFEST, parser="plain-2"))
    index = engine.open(VERSION, MANIFEST)
    assert index.chunk_ids(REVISIONS[0]) == of(stored, REVISIONS[0])
    assert index.chunk_ids(REVISIONS[1]) == set()
    old = Comparison("year", Operator.LT, 2000)
    assert ids(index.dense(stored[0].vector, 10, old)) == of(stored, REVISIONS[2])
    index.upsert([replace(stored[0], vector=-stored[0].vector)])
    assert index.dense(-stored[0].vector, 1)[0].chunk_id == stored[0].chunk_id
    index.delete(REVISIONS[0])
    assert index.chunk_ids(REVISIONS[0]) == set()
    engine.close()


def test_readers_see_whole_results_while_others_write(place, index):
    if place.kind == "server":
        pytest.skip("the client's local mode is not made for threads; a server is")
    stored = points(20)
    fleeting = [point("rev_fleeting", number, np.random.default_rng(number)) for number in range(20)]
    index.upsert(stored)
    done = threading.Event()

    def read():
        while not done.is_set():
            found = index.dense(stored[0].vector, 50, None, ["rev_fleeting"])
            assert ids(found) == {each.chunk_id for each in stored}
            assert index.chunk_ids(REVISIONS[0]) == of(stored, REVISIONS[0])

    def write(number):
        for _ in range(5):
            index.upsert(fleeting[number * 10 : number * 10 + 10])
            index.delete("rev_fleeting")

    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        writers = [pool.submit(write, number) for number in range(2)]
        wait(writers)
        done.set()
    for task in readers + writers:
        task.result()
    assert index.chunk_ids("rev_fleeting") == set()


KEYS = ["a", "a.b", 'a"[]', "ключ с пробелом", "revision_id", "[0]", "🔑", "x" * 64]
VALUES = ["1", "true", "", "ä", 'q"', True, False, 0, 1, -0.0, 1.5, 2**53, 2**53 + 1, -1e300]
some_value = st.sampled_from(VALUES)
keys = st.sampled_from(KEYS)
several = [Operator.IN, Operator.NIN]
comparisons = st.builds(
    Comparison, keys, st.sampled_from([o for o in Operator if o not in several]), some_value
) | st.builds(Comparison, keys, st.sampled_from(several), st.lists(some_value, max_size=3).map(tuple))
filters = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)), st.sampled_from([AllOf, AnyOf]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(params=KINDS, scope="module")
def filled(request, tmp_path_factory, retrieval_server):
    """An index whose points have odd attributes, and those points."""
    engine = Place(request.param, tmp_path_factory.mktemp("vectors"), retrieval_server).engine()
    rng = np.random.default_rng(5)
    stored = [
        point("rev_" + "f" * 24, number, rng, {str(key): rng.choice(np.array(VALUES, dtype=object)) for key in some})
        for number, some in enumerate(rng.choice(KEYS, size=(80, 3)))
    ]
    index = engine.create(VERSION, MANIFEST)
    index.upsert(stored)
    yield index, stored
    engine.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters)
def test_a_filter_finds_exactly_what_it_means(filled, where):
    index, stored = filled
    expected = {each.chunk_id for each in stored if matches(where, each.attributes)}
    assert ids(index.dense(stored[0].vector, 100, where)) == expected
    assert ids(index.lexical(SparseVector(tuple(range(20)), (1.0,) * 20), 100, where)) == expected
