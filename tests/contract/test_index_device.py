"""Main parts on a device, by the stand-in that has none of CUDA: who lies there, what is searched there, failures."""

import threading

import numpy as np
import pytest

from indexes.engines.device_memory import DeviceMemory
from indexes.engines.faiss_engine import FaissEngine
from indexes.engines.gpu_device import StandIn
from indexes.engines.gpu_plan import Placement
from indexes.engines.opening import open_engine
from indexes.engines.settings import FaissEngineSettings
from indexes.errors import SettingsError
from indexes.filters import Comparison, Operator
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector

MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 32, 128))
ROWS = 300
BYTES = 2 * ROWS * 32


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


def test_those_that_fit_are_searched_there_and_what_is_forbidden_is_left_out(indexes):
    DeviceMemory(StandIn(BYTES), 2 * BYTES).arrange([index.version for index in indexes])
    for index in indexes:
        agree(index, "device")
        agree(index, "device", hidden=["rev_1", "rev_2"])
        agree(index, "exact", Comparison("n", Operator.LT, 15))
        index.upsert(points(5, 900))
        index.delete("rev_3")
        agree(index, "device")


def test_what_finds_no_room_stays_and_room_goes_to_those_in_use(indexes):
    memory = DeviceMemory(StandIn(BYTES), BYTES)
    for used in (0, 1):
        indexes[used].dense(points(1)[0].vector, 1)
        memory.arrange([index.version for index in indexes])
        agree(indexes[used], "device")
        agree(indexes[1 - used], "exact")
        indexes[used].dense(points(1)[0].vector, 1)


def test_a_device_that_is_full_or_fails_leaves_the_search_to_the_cpu(indexes):
    versions = [index.version for index in indexes]
    DeviceMemory(StandIn(BYTES - 1), 2 * BYTES).arrange(versions)
    assert versions[0].placement is Placement.EXACT  # not tried again until the part is another
    agree(indexes[0], "exact")
    versions[0].merge(threading.Event())
    assert versions[0].placement is Placement.CPU
    DeviceMemory(StandIn(BYTES), 2 * BYTES).arrange(versions)
    agree(indexes[0], "device")
    versions[0].now.device.broken = True
    agree(indexes[0], "exact")
    agree(indexes[0], "exact")


def test_a_device_that_must_be_there_and_is_not(tmp_path):
    with pytest.raises(SettingsError, match="needs a GPU"):
        open_engine(FaissEngineSettings(device="cuda"), tmp_path)
