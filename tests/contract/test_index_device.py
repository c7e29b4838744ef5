"""Main parts on a device, by faiss-gpu in ordinary memory: who lies there, what is found there, failures."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexes.engines.device_memory import DeviceMemory
from indexes.engines.faiss_engine import FaissEngine
from indexes.engines.faiss_gpu import SURPLUS, CudaDevice
from indexes.engines.faiss_scan import unit
from indexes.engines.gpu_device import DeviceFailure
from indexes.engines.gpu_plan import SCRATCH_BYTES, Placement, bytes_on_device
from indexes.engines.opening import open_engine
from indexes.engines.settings import FaissEngineSettings
from indexes.errors import SettingsError
from indexes.filters import Comparison, Operator
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector
from tests.contract.cuda_faiss import MOST_ROWS, Cuda

MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 32, 128))
ROWS = 300
BYTES = bytes_on_device(Placement.EXACT, ROWS, 32)
FORMS = [Placement.EXACT, Placement.IVF_PQ, Placement.CAGRA]  # the last one of cuVS


def points(count, start=0):
    vectors = np.random.default_rng(start).normal(size=(count, 32)).astype(np.float32)
    return [
        Point(
            chunk_id(f"rev_{row % 30}", "c-1", start + row),
            f"rev_{row % 30}",
            vector,
            SparseVector((), ()),
            {"n": row % 30},
        )
        for row, vector in enumerate(vectors)
    ]


@pytest.fixture
def indexes(tmp_path):
    settings = FaissEngineSettings(merge_after=10_000)
    engine = FaissEngine(settings, open_engine(settings.inner, tmp_path), tmp_path / "faiss")
    made = [engine.create(f"ixv_{number}", MANIFEST) for number in range(2)]
    for index in made:
        index.upsert(points(ROWS))
        index.version.load()
        index.version.merge(threading.Event())
    yield made
    engine.close()


def agree(index, expected, where=None, hidden=()):
    query = points(1, 7)[0].vector
    found, exact = (index.dense(query, 10, where, hidden, exact=exact) for exact in (False, True))
    assert [match.chunk_id for match in found] == [match.chunk_id for match in exact]
    assert [match.score for match in found] == pytest.approx([match.score for match in exact], abs=1e-3)
    assert found.how.partition(",")[0] == expected


@pytest.fixture
def device(monkeypatch):
    def made(room_bytes, *, cuvs=False):
        cuda = Cuda(room_bytes, cuvs=cuvs).installed(monkeypatch)
        device = CudaDevice()
        device.cuda = cuda
        return device

    return made


def clustered(rows, dimension, seed=1):
    """Within a cluster vectors differ in few ways, as those of texts do."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    centres, ways = fixed.normal(size=(50, dimension)), fixed.normal(size=(12, dimension))
    return unit(centres[random.integers(50, size=rows)] + 0.3 * random.normal(size=(rows, 12)) @ ways)


def test_those_that_fit_are_searched_there_and_what_is_forbidden_is_left_out(indexes, device):
    DeviceMemory(device(2 * BYTES), 2 * BYTES).arrange([index.version for index in indexes])
    for index in indexes:
        agree(index, "device")
        agree(index, "device", hidden=["rev_1", "rev_2"])
        agree(index, "exact", Comparison("n", Operator.LT, 15))
        index.upsert(points(5, 900))
        index.delete("rev_3")
        agree(index, "device")


def test_what_finds_no_room_stays_and_room_goes_to_those_in_use(indexes, device):
    memory = DeviceMemory(device(BYTES), BYTES)
    for used in (0, 1):
        indexes[used].dense(points(1)[0].vector, 1)
        memory.arrange([index.version for index in indexes])
        agree(indexes[used], "device")
        agree(indexes[1 - used], "exact")
        indexes[used].dense(points(1)[0].vector, 1)


def test_a_device_that_is_full_or_fails_leaves_the_search_to_the_cpu(indexes, device):
    versions = [index.version for index in indexes]
    DeviceMemory(device(BYTES - 1), 2 * BYTES).arrange(versions)
    assert versions[0].placement is Placement.EXACT  # not tried again until the part is another
    agree(indexes[0], "exact")
    versions[0].merge(threading.Event())
    assert versions[0].placement is Placement.CPU
    whole = device(2 * BYTES)
    DeviceMemory(whole, 2 * BYTES).arrange(versions)
    agree(indexes[0], "device")
    whole.cuda.broken = True
    agree(indexes[0], "exact")
    agree(indexes[0], "exact")
    whole.cuda.broken = False


def test_more_than_a_device_selects_is_asked_of_the_cpu(indexes, device):
    DeviceMemory(device(BYTES), BYTES).arrange([indexes[0].version])
    query = points(1, 7)[0].vector
    assert len(indexes[0].dense(query, MOST_ROWS)) == ROWS
    agree(indexes[0], "device")


@pytest.mark.parametrize(("form", "cuvs"), [*((form, True) for form in FORMS), *((form, False) for form in FORMS[:2])])
def test_every_form_finds_what_is_nearest_and_scores_it_in_full(device, form, cuvs):
    vectors = clustered(6_000, 96)
    index = device(1 << 30, cuvs=cuvs).put(vectors, form)
    shares = []
    for query in clustered(100, 96, seed=2):
        exact = vectors @ query
        found = index.search(query, 10)
        assert found.scores == pytest.approx(exact[found.rows], abs=1e-6)
        shares.append(np.isin(np.argsort(-exact)[:10], found.rows).mean())
    assert np.mean(shares) >= (1.0 if form is Placement.EXACT else 0.95)
    assert len(index.search(clustered(1, 96)[0], MOST_ROWS // SURPLUS).rows) == MOST_ROWS // SURPLUS


@pytest.mark.parametrize("dimension", [100, 384, 768, 1_024])
def test_faiss_takes_the_codes_that_are_asked_of_it(device, dimension):
    vectors = clustered(1_000, dimension)
    assert len(device(1 << 30).put(vectors, Placement.IVF_PQ).search(vectors[0], 10).rows) == 10


def test_an_approximation_that_finds_too_little_is_not_used(device):
    vectors = unit(np.random.default_rng(1).normal(size=(3_000, 1_024)))
    with pytest.raises(DeviceFailure, match="finds 0"):
        device(1 << 30).put(vectors, Placement.IVF_PQ)


def test_an_error_without_a_word_is_named(device, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("indexes.engines.faiss_gpu._Form", full)
    with pytest.raises(DeviceFailure, match="MemoryError"):
        device(1 << 30).put(clustered(1_000, 32), Placement.EXACT)


def test_one_is_put_there_and_goes_while_others_are_searched(device):
    """The resources of the fake fail where two calls meet, as the real ones break."""
    here, vectors = device(8 << 30), clustered(2_000, 32)
    kept, stop = here.put(vectors, Placement.EXACT), threading.Event()

    def ask():
        asked = 0
        while not stop.is_set() or not asked:
            assert kept.search(vectors[asked % 2_000], 1).rows[0] == asked % 2_000
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        for _ in range(5):
            here.put(vectors, Placement.EXACT).search(vectors[0], 1)
            here.put(vectors, Placement.IVF_PQ).search(vectors[0], 1)
        stop.set()
        assert all(each.result() for each in asking)
    assert here.cuda.taken_bytes == SCRATCH_BYTES + 2 * vectors.size


def test_a_device_that_must_be_there_and_is_not(tmp_path):
    with pytest.raises(SettingsError, match="needs a GPU"):
        open_engine(FaissEngineSettings(device="cuda"), tmp_path)
