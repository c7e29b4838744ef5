"""What only the embedded engine has to show: kills, restarts, bounded open shards, optimising beside writes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from indexes.engines.edge_upkeep import EdgeUpkeep
from indexes.engines.opening import open_engine
from indexes.engines.settings import QdrantEdgeEngineSettings
from indexes.errors import NotFound, SettingsError
from indexes.filters import Comparison, Operator
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector

DIMENSION = 64
MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, DIMENSION, 128))
ROOT = Path(__file__).parents[2]


def open_edge(folder, **knobs):
    return open_engine(QdrantEdgeEngineSettings(**knobs), folder)


def points(count, start=0, revision="rev_" + "a" * 24):
    vectors = np.random.default_rng(start).normal(size=(count, DIMENSION)).astype(np.float32)
    return [
        Point(
            chunk_id(revision, "c-1", start + row),
            revision,
            vector,
            SparseVector((row % 9,), (1.0,)),
            {"row": float(row)},
        )
        for row, vector in enumerate(vectors)
    ]


WRITER = """
import sys
from pathlib import Path
from tests_contract_index_edge import MANIFEST, open_edge, points
index = open_edge(Path(sys.argv[1])).create("ixv_1", MANIFEST)
for batch in range(int(sys.argv[2]), 10_000):
    index.upsert(points(16, start=16 * batch))
    if batch % 5 == 4:
        index.delete("rev_" + "d" * 24)
        index.upsert(points(16, start=16 * batch, revision="rev_" + "d" * 24))
    print(batch, flush=True)
"""


def write_until_killed(folder, first, acknowledgements):
    """Runs a writer, kills it after some acknowledgements; gives the last batch that it acknowledged."""
    loader = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('tests_contract_index_edge', "
        f"{__file__!r}); module = importlib.util.module_from_spec(spec); sys.modules[spec.name] = module; "
        "spec.loader.exec_module(module)\n"
    )
    command = [sys.executable, "-c", loader + WRITER, str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as writer:
        for _ in range(acknowledgements):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().split()
    return int(lines[-1]) if lines else first + acknowledgements - 1


def test_a_kill_loses_no_acknowledged_chunk(tmp_path):
    pick, first = random.Random(7), 0
    for _ in range(3):
        last = write_until_killed(tmp_path, first, pick.randint(3, 25))
        engine = open_edge(tmp_path)
        stored = engine.open("ixv_1", MANIFEST).chunk_ids("rev_" + "a" * 24)
        engine.close()
        assert stored >= {each.chunk_id for each in points(16 * (last + 1))}
        first = last + 1


def test_after_a_power_cut_the_synced_log_alone_brings_every_write_back(tmp_path):
    engine = open_edge(tmp_path / "live")
    index = engine.create("ixv_1", MANIFEST)
    index.upsert(points(50))
    index.version.optimise(lambda path, fields: None)  # flushes; what follows is in the log only
    shutil.copytree(tmp_path / "live", tmp_path / "after")
    index.upsert(points(600, start=50))
    index.delete("rev_" + "a" * 24)
    index.upsert(points(30))
    index.set_attributes("rev_" + "a" * 24, {"row": 77})
    log = Path("vectors/ixv_1/shard-1/wal")
    shutil.copytree(tmp_path / "live" / log, tmp_path / "after" / log, dirs_exist_ok=True)
    engine.close()
    engine = open_edge(tmp_path / "after")
    index = engine.open("ixv_1", MANIFEST)
    assert index.chunk_ids("rev_" + "a" * 24) == {each.chunk_id for each in points(30)}
    assert len(index.dense(points(1)[0].vector, 50, Comparison("row", Operator.EQ, 77))) == 30
    engine.close()


def test_a_kill_while_a_version_is_made_leaves_no_half_of_one(tmp_path):
    engine = open_edge(tmp_path)
    engine.close()
    half = tmp_path / "vectors" / ".work-killed"
    (half / "shard-0").mkdir(parents=True)
    engine = open_edge(tmp_path)
    assert not half.exists()
    with pytest.raises(NotFound):
        engine.open("ixv_1", MANIFEST)
    assert engine.create("ixv_1", MANIFEST).chunk_ids("rev_x") == set()
    engine.close()
    unused = tmp_path / "vectors" / "ixv_1" / "shard-1"  # copied, but not yet made current
    unused.mkdir()
    engine = open_edge(tmp_path)
    assert engine.open("ixv_1", MANIFEST).chunk_ids("rev_x") == set()
    assert not unused.exists()
    engine.close()


def test_a_directory_has_one_owner(tmp_path):
    engine = open_edge(tmp_path)
    with pytest.raises(SettingsError, match="qdrant_server"):
        open_edge(tmp_path)
    engine.close()
    open_edge(tmp_path).close()


def test_many_versions_need_few_open_files(tmp_path):
    engine = open_edge(tmp_path, open_shards=2)
    indexes = [engine.create(f"ixv_{number}", MANIFEST) for number in range(6)]
    for _ in range(2):
        for number, index in enumerate(indexes):
            index.upsert(points(1, start=number))
    assert [len(index.dense(points(1)[0].vector, 5)) for index in indexes] == [1] * 6
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdigit() and _is_link(fd)]
    assert len([path for path in held if str(tmp_path) in path and "ixv_" in path]) <= 2
    engine.close()


def _is_link(descriptor):
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def optimised(index):
    """Optimises now, as the upkeep thread does; True if the version went over to the copy."""
    upkeep = EdgeUpkeep()
    try:
        return index.version.optimise(upkeep.build)
    finally:
        upkeep.close()


def test_optimising_keeps_what_is_written_and_deleted_meanwhile(tmp_path):
    gone, kept = "rev_" + "g" * 24, "rev_" + "a" * 24
    engine = open_edge(tmp_path)
    index = engine.create("ixv_1", MANIFEST)
    index.upsert(points(2500) + points(10, start=5000, revision=gone))
    index.set_attributes(gone, {"late": 1.0})
    wanted = {each.chunk_id for each in points(2500)}
    building, results = threading.Event(), []
    upkeep = EdgeUpkeep()

    def build(path, fields):
        assert fields == ["numbers.k6c617465"]  # too many chunks to index `late` at once
        building.set()
        upkeep.build(path, fields)

    work = threading.Thread(target=lambda: results.append(index.version.optimise(build)))
    work.start()
    assert building.wait(30)
    index.delete(gone)
    for batch in range(10):
        more = points(5, start=9000 + 5 * batch)
        index.upsert(more)
        wanted |= {each.chunk_id for each in more}
        assert index.chunk_ids(kept) == wanted
    work.join()
    upkeep.close()
    assert results == [True]
    assert index.chunk_ids(kept) == wanted
    assert index.chunk_ids(gone) == set()
    assert index.dense(more[0].vector, 1)[0].chunk_id == more[0].chunk_id
    assert [path.name for path in (tmp_path / "vectors" / "ixv_1").glob("shard-*")] == ["shard-1"]
    engine.close()
    engine = open_edge(tmp_path)
    assert engine.open("ixv_1", MANIFEST).chunk_ids(kept) == wanted
    engine.close()


def test_a_failed_optimisation_changes_nothing(tmp_path):
    engine = open_edge(tmp_path)
    index = engine.create("ixv_1", MANIFEST)
    index.upsert(points(20))

    def build(path, fields):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        index.version.optimise(build)
    index.upsert(points(20, start=20))
    assert len(index.chunk_ids("rev_" + "a" * 24)) == 40
    assert optimised(index)
    engine.close()
    assert not list((tmp_path / "vectors").glob(".work-*"))


def test_dropping_a_version_that_is_being_optimised(tmp_path):
    engine = open_edge(tmp_path)
    index = engine.create("ixv_1", MANIFEST)
    index.upsert(points(20))
    assert index.version.optimise(lambda path, fields: engine.drop("ixv_1")) is False
    with pytest.raises(NotFound):
        index.chunk_ids("rev_" + "a" * 24)
    engine.close()


def test_a_version_is_due_once_enough_has_changed_and_the_upkeep_sees_to_it(tmp_path):
    engine = open_edge(tmp_path, optimise_after=1000)
    index = engine.create("ixv_1", MANIFEST)
    index.upsert(points(900))
    assert not index.version.due()
    index.upsert(points(100, start=900))
    work = tmp_path / "vectors" / "ixv_1" / "shard-1"
    for _ in range(600):
        if work.exists() and not index.version.due():
            break
        threading.Event().wait(0.05)
    assert not index.version.due()
    assert len(index.dense(points(1)[0].vector, 5, Comparison("row", Operator.LT, 3))) == 5
    engine.close()
