"""What only the FAISS engine has to show: files that are lost or wrong, kills, merges beside writes, recall."""

import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexes.engines import faiss_upkeep
from indexes.engines.device_memory import DeviceMemory
from indexes.engines.faiss_engine import FaissEngine
from indexes.engines.faiss_files import FaissFiles, seal
from indexes.engines.faiss_gpu import CudaDevice
from indexes.engines.faiss_part import Part, Stopped
from indexes.engines.opening import open_engine
from indexes.engines.settings import FaissEngineSettings, QdrantEdgeEngineSettings
from indexes.errors import IndexDamaged, SettingsError
from indexes.filters import Comparison, Operator
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector
from tests.contract.cuda_faiss import Cuda

DIMENSION = 32
MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, DIMENSION, 128))
ROOT = Path(__file__).parents[2]
KEPT, GONE = "rev_" + "a" * 24, "rev_" + "g" * 24
NEVER = threading.Event()


def points(count, start=0, revision=KEPT, attributes=None):
    vectors = np.random.default_rng(start).normal(size=(count, DIMENSION)).astype(np.float32)
    return [
        Point(chunk_id(revision, "c-1", start + row), revision, vector, SparseVector((1,), (1.0,)), attributes or {})
        for row, vector in enumerate(vectors)
    ]


class Idle(FaissEngine):
    """Its thread has ended: a test loads and merges when it wants to."""

    def __init__(self, folder):
        settings = FaissEngineSettings(merge_after=50)
        super().__init__(settings, open_engine(settings.inner, folder), folder / "faiss")
        self._upkeep.close()


def loaded(engine, merged=False):
    index = engine.create("ixv_1", MANIFEST)
    index.version.load()
    if merged:
        index.version.merge(NEVER)
    return index


def found(index, where=None, limit=1000):
    return {match.chunk_id for match in index.dense(points(1)[0].vector, limit, where)}


def ids(*batches):
    return {each.chunk_id for batch in batches for each in batch}


@pytest.fixture
def saved(tmp_path):
    """A folder with a merged version of 120 points, closed; and where its part lies."""
    engine = Idle(tmp_path)
    index = loaded(engine)
    index.upsert(points(120))
    index.version.merge(NEVER)
    engine.close()
    return tmp_path, tmp_path / "faiss" / "ixv_1" / "part-0"


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def other_manifest(part):
    (part / "part.json").unlink()
    journal = (part / "journal").read_bytes()
    (part / "journal").unlink()
    seal(part, replace(MANIFEST, parser="plain-2").hash)
    (part / "journal").write_bytes(journal)


DAMAGES = {
    "corrupted index": lambda part: flip(part / "index.faiss"),
    "corrupted rows": lambda part: flip(part / "rows.npz"),
    "corrupted facts": lambda part: flip(part / "part.json"),
    "truncated": lambda part: (part / "index.faiss").write_bytes((part / "index.faiss").read_bytes()[:1000]),
    "empty": lambda part: (part / "lists.npz").write_bytes(b""),
    "missing file": lambda part: (part / "groups.json").unlink(),
    "missing journal": lambda part: (part / "journal").unlink(),
    "missing part": shutil.rmtree,
    "another manifest": other_manifest,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_built_anew_and_searches_are_answered_meanwhile(saved, damage):
    folder, part = saved
    DAMAGES[damage](part)
    engine = Idle(folder)
    index = engine.open("ixv_1", MANIFEST)
    assert not index.version.loaded
    assert found(index) == ids(points(120))  # by the engine within
    index.version.load()
    assert index.version.now.shape.main == 0
    assert found(index) == ids(points(120))
    assert index.version.due()
    index.version.merge(NEVER)
    assert index.version.now.shape.main == 120
    assert found(index) == ids(points(120))
    engine.close()


def test_good_files_are_used_as_they_are(saved):
    folder, part = saved
    written = (part / "index.faiss").stat().st_mtime_ns
    engine = Idle(folder)
    index = loaded(engine)
    assert index.version.now.shape.main == 120
    assert not index.version.due()
    assert found(index) == ids(points(120))
    assert (part / "index.faiss").stat().st_mtime_ns == written
    engine.close()


def test_what_the_files_miss_is_found_out(saved):
    folder, _ = saved
    engine = Idle(folder)
    index = engine.open("ixv_1", MANIFEST)
    index.set_attributes(KEPT, {"team": "hr"})  # not loaded: the journal alone knows of it
    index.upsert(points(5, 500, GONE))
    index.version.load()
    index.delete(GONE)
    index.upsert(points(7, 600, attributes={"team": "hr"}))
    engine.close()
    edge = open_engine(QdrantEdgeEngineSettings(), folder)  # behind its back
    edge.open("ixv_1", MANIFEST).upsert(points(3, 700, "rev_behind"))
    edge.close()
    engine = Idle(folder)
    index = loaded(engine)
    assert index.version.now.shape.main == 120
    assert found(index) == ids(points(120), points(7, 600), points(3, 700, "rev_behind"))
    assert found(index, Comparison("team", Operator.EQ, "hr")) == ids(points(120), points(7, 600))
    engine.close()


WRITER = """
import sys
from pathlib import Path
from tests_contract_index_faiss import GONE, MANIFEST, points
from indexes.engines.opening import open_engine
from indexes.engines.settings import FaissEngineSettings
engine = open_engine(FaissEngineSettings(merge_after=60), Path(sys.argv[1]))
index = engine.create("ixv_1", MANIFEST)
for batch in range(int(sys.argv[2]), 10_000):
    index.upsert(points(8, start=8 * batch))
    index.delete(GONE)
    index.upsert(points(batch % 7 + 1, start=8 * batch, revision=GONE, attributes={"batch": batch}))
    index.dense(points(1)[0].vector, 5)
    print(batch, flush=True)
"""


def write_until_killed(folder, first, acknowledgements):
    loader = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('tests_contract_index_faiss', "
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


def test_after_kills_it_finds_what_the_engine_within_holds(tmp_path):
    first = 0
    for acknowledgements in (15, 23, 9):
        last = write_until_killed(tmp_path, first, acknowledgements)
        engine = Idle(tmp_path)
        index = loaded(engine)
        assert found(index) == index.chunk_ids(KEPT) | index.chunk_ids(GONE)
        assert found(index) >= ids(points(8 * (last + 1), 0)[: 8 * (last + 1)])
        assert index.version._table.counts() == index.inventory()
        for batch in (last, last + 1):
            inner = {match.chunk_id for match in index.version.inner.dense(points(1)[0].vector, 1000, of(batch))}
            assert found(index, of(batch)) == inner
        engine.close()
        first = last + 1
    assert (tmp_path / "faiss" / "ixv_1").exists()  # it has merged in between


def of(batch):
    return Comparison("batch", Operator.EQ, batch)


def test_a_merge_keeps_what_is_written_and_deleted_meanwhile(tmp_path, monkeypatch):
    engine = Idle(tmp_path)
    index = loaded(engine)
    index.upsert(points(100) + points(30, 200, GONE))
    build = Part.build.__func__

    def while_written_to(cls, vectors, stop):
        index.delete(GONE)
        index.upsert(points(10, 300) + points(5))
        index.set_attributes(KEPT, {"team": "hr"})
        return build(cls, vectors, stop)

    monkeypatch.setattr(Part, "build", classmethod(while_written_to))
    index.version.merge(NEVER)
    monkeypatch.undo()
    everything = ids(points(100), points(10, 300))
    assert index.version.now.shape.main == 130
    assert found(index) == everything
    assert found(index, Comparison("team", Operator.EQ, "hr")) == everything
    engine.close()
    engine = Idle(tmp_path)
    index = loaded(engine, merged=True)
    assert found(index, Comparison("team", Operator.EQ, "hr")) == everything
    engine.close()


@pytest.mark.parametrize("rows", [1, 9, 12])
def test_a_part_with_too_few_rows_to_ask_itself_questions_finds_them(tmp_path, rows):
    engine = Idle(tmp_path)
    index = loaded(engine)
    index.upsert(points(rows))
    index.version.merge(NEVER)
    assert index.version.now.shape.main == rows
    assert found(index) == ids(points(rows))
    engine.close()


def test_merges_add_to_the_main_part_or_build_it_anew(saved):
    folder, _ = saved
    engine = Idle(folder)
    index = loaded(engine)
    for start, rows in ((1000, 180), (2000, 240), (3000, 300)):  # beyond twice the first, anew
        index.upsert(points(60, start))
        index.version.merge(NEVER)
        assert index.version.now.shape.main == rows
    assert index.version.now.part.trained_rows == 300
    everything = ids(points(120), *(points(60, start) for start in (1000, 2000, 3000)))
    assert found(index) == everything
    index.upsert(points(100, 4000, GONE))
    index.version.merge(NEVER)
    index.delete(GONE)
    assert index.version.due()  # a quarter of it is gone
    index.version.merge(NEVER)
    assert index.version.now.shape.main == 300
    index.delete(KEPT)
    index.version.merge(NEVER)
    assert index.version.now.shape.main == 0
    assert found(index) == set()
    assert len(list((folder / "faiss" / "ixv_1").glob("part-*"))) == 0
    engine.close()


def test_what_is_gone_is_forgotten_by_a_merge_and_not_by_a_search_that_has_begun(saved):
    engine = Idle(saved[0])
    index = loaded(engine)
    for start in range(1000, 1100):
        index.upsert(points(1, start, f"rev_{start}", {"n": start}))
        if start < 1090:
            index.delete(f"rev_{start}")
    before = index.version.now
    index.version.merge(NEVER)
    index.upsert(points(1, 2000, "rev_after", {"n": 2000}))
    groups = [KEPT, *(f"rev_{start}" for start in range(1090, 1100)), "rev_after"]
    assert sorted(index.version.now.revisions) == sorted(groups)
    where = Comparison("n", Operator.GTE, 1095)
    assert before.select(where, ["rev_1096"]).allowed == 4
    for version in (index, index.version.inner):
        assert {match.revision_id for match in version.dense(points(1)[0].vector, 50, where, ["rev_1096"])} == {
            "rev_1095",
            "rev_1097",
            "rev_1098",
            "rev_1099",
            "rev_after",
        }
    engine.close()


def test_a_write_that_fails_is_read_again(saved, monkeypatch):
    folder, _ = saved
    engine = Idle(folder)
    index = loaded(engine)
    inner = index.version.inner
    upsert = inner.upsert

    def broken(stored):
        upsert(stored[:3])
        raise OSError("the disk is gone")

    monkeypatch.setattr(inner, "upsert", broken)
    with pytest.raises(OSError, match="the disk"):
        index.upsert(points(9, 400))
    assert not index.version.loaded
    assert found(index) == ids(points(120), points(9, 400)[:3])
    index.version.load()
    assert found(index) == ids(points(120), points(9, 400)[:3])
    engine.close()


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("where", ["indexes.engines.faiss_version.Part.read", "indexes.engines.faiss_files.sync"])
def test_a_merge_that_fails_at_its_end_changes_nothing_or_is_read_again(saved, monkeypatch, where, again):
    folder, _ = saved
    engine = Idle(folder)
    index = loaded(engine)
    index.upsert(points(60, 1000))

    def broken(path):
        if path.name != "ixv_1" and where.endswith("sync"):
            return  # the part is in its place when this fails
        raise OSError("Too many open files")

    monkeypatch.setattr(where, broken)
    with pytest.raises(OSError, match="Too many"):
        index.version.merge(NEVER)
    monkeypatch.undo()
    index.set_attributes(KEPT, {"team": "hr"})
    if again:
        index.version.load()
        index.version.merge(NEVER)
        assert index.version.part.rows == 180
    engine.close()
    engine = Idle(folder)
    index = loaded(engine)
    everything = ids(points(120), points(60, 1000))
    assert found(index) == found(index, Comparison("team", Operator.EQ, "hr")) == everything
    engine.close()


def fewer_rows(part):
    with np.load(part / "rows.npz") as rows:
        fewer = {name: column[:-1] for name, column in rows.items()}
    np.savez(part / "rows.npz", **fewer)


def fewer_homes(part):
    with np.load(part / "lists.npz") as lists:
        fewer = {"centroids": lists["centroids"], "homes": lists["homes"][:-1]}
    np.savez(part / "lists.npz", **fewer)


@pytest.mark.parametrize("lose", [fewer_rows, fewer_homes])
def test_files_that_contradict_each_other_are_built_anew_though_their_sums_are_right(saved, lose):
    folder, part = saved
    journal = (part / "journal").read_bytes()
    for name in ("journal", "part.json"):
        (part / name).unlink()
    lose(part)
    seal(part, MANIFEST.hash)
    (part / "journal").write_bytes(journal)
    engine = Idle(folder)
    index = loaded(engine)
    assert index.version.now.shape.main == 0
    assert found(index) == ids(points(120))
    engine.close()


def test_building_stops_when_the_service_ends(tmp_path):
    engine = Idle(tmp_path)
    index = loaded(engine)
    index.upsert(points(60))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        index.version.merge(stop)
    assert found(index) == ids(points(60))
    engine.close()
    assert not list((tmp_path / "faiss").glob(".work-*"))


def test_versions_used_longest_ago_give_their_memory_back(tmp_path):
    settings = FaissEngineSettings(open_versions=2)
    engine = open_engine(settings, tmp_path)
    indexes = [engine.create(f"ixv_{number}", MANIFEST) for number in range(4)]
    for index in indexes:
        index.upsert(points(3))
        for _ in range(200):
            if index.version.loaded:
                break
            threading.Event().wait(0.02)
    assert [index.version.loaded for index in indexes] == [False, False, True, True]
    assert [found(index) for index in indexes] == [ids(points(3))] * 4
    engine.close()


def damaged(*_):
    raise IndexDamaged("for a test")


def test_nothing_is_tried_again_with_what_was_dropped_or_made_anew(tmp_path, monkeypatch):
    engine = Idle(tmp_path)
    dropped, replaced = (engine.create(ident, MANIFEST) for ident in ("ixv_1", "ixv_2"))
    for index in (dropped, replaced):
        monkeypatch.setattr(index.version.inner, "page", damaged)
        assert engine._upkeep._tend(index.version) is False
    engine.drop("ixv_1")
    engine._inner.drop("ixv_2")
    fresh = engine.create("ixv_2", MANIFEST)
    for index in (dropped, replaced):
        assert engine._upkeep._tend(index.version) is True
    assert engine._upkeep._tend(fresh.version) is True
    assert fresh.version.loaded
    engine.close()


def test_what_fails_keeps_nothing_else_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(faiss_upkeep, "_PAUSE_S", 600.0)
    engine = open_engine(FaissEngineSettings(), tmp_path)
    failing, good = (engine.create(ident, MANIFEST) for ident in ("ixv_1", "ixv_2"))
    monkeypatch.setattr(failing.version.inner, "page", damaged)
    for index in (failing, good):
        index.upsert(points(3))
    for _ in range(200):
        if good.version.loaded:
            break
        threading.Event().wait(0.02)
    assert (failing.version.loaded, good.version.loaded) == (False, True)
    engine.close()


def test_a_directory_has_one_owner(tmp_path):
    files = FaissFiles(tmp_path)
    with pytest.raises(SettingsError, match="Another process owns"):
        FaissFiles(tmp_path)
    files.close()


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize(("clusters", "spread"), [(200, 0.1), (3000, 0.5)])  # lists alone, and a graph as well
def test_recall_holds_at_every_selectivity(tmp_path, monkeypatch, clusters, spread, cuda):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(clusters, DIMENSION))
    vectors = (centres[rng.integers(clusters, size=4_000)] + spread * rng.normal(size=(4_000, DIMENSION))).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    levels = np.repeat(rng.permutation(400) / 400, 10)
    stored = [
        replace(point, vector=vector, revision_id=f"rev_{row // 10}", attributes={"level": float(levels[row])})
        for row, (point, vector) in enumerate(zip(points(4_000), vectors, strict=True))
    ]
    engine = Idle(tmp_path)
    index = loaded(engine)
    index.upsert(stored[100:])
    index.version.merge(NEVER)
    assert (index.version.now.part.graph is None) is (clusters == 200)
    if cuda:
        Cuda(4 << 30).installed(monkeypatch)
        DeviceMemory(CudaDevice(), 4 << 30).arrange([index.version])
    assert index.dense(stored[0].vector, 10).how.startswith("device") is cuda
    hidden = [f"rev_{number}" for number in range(20, 40)]
    for share in (0.005, 0.4, 0.7, 2):
        where = Comparison("level", Operator.LT, share) if share < 1 else None
        for excluded in ((), hidden):
            hits = [
                len(
                    {match.chunk_id for match in index.dense(query.vector, 10, where, excluded)}
                    & {match.chunk_id for match in index.dense(query.vector, 10, where, excluded, exact=True)}
                )
                for query in stored[:40]
            ]
            assert np.mean(hits) >= 9.5, (share, excluded)
    engine.close()
