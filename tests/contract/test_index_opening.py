"""Settings to engine, and a server that is not there."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from indexes.engines.opening import open_engine
from indexes.engines.settings import EngineSettings, QdrantServerEngineSettings
from indexes.errors import SettingsError, Unavailable
from indexes.manifest import Chunking, EmbeddingSpec, Manifest

MANIFEST = Manifest("plain-1", "c-1", Chunking(128, 16), EmbeddingSpec("tiny", "1", "0" * 64, 8, 128))


@pytest.mark.parametrize("kind", ["exact", "qdrant_edge"])
def test_settings_name_the_engine(kind, tmp_path):
    engine = open_engine(TypeAdapter(EngineSettings).validate_python({"kind": kind}), tmp_path)
    assert engine.create("ixv_1", MANIFEST).chunk_ids("rev_x") == set()
    engine.close()


def test_unknown_knobs_are_refused_by_name():
    with pytest.raises(ValidationError, match="open_shard"):
        TypeAdapter(EngineSettings).validate_python({"kind": "qdrant_edge", "open_shard": 2})


def test_a_directory_that_cannot_be_used_is_a_wrong_setting(tmp_path):
    (tmp_path / "vectors").write_text("a file")
    with pytest.raises(SettingsError, match="vectors"):
        open_engine(TypeAdapter(EngineSettings).validate_python({"kind": "qdrant_edge"}), tmp_path)


def test_a_server_that_does_not_answer_is_unavailable(tmp_path):
    engine = open_engine(QdrantServerEngineSettings(url="http://127.0.0.1:9", timeout_s=1), tmp_path)
    for call in (lambda: engine.create("ixv_1", MANIFEST), lambda: engine.open("ixv_1", MANIFEST)):
        with pytest.raises(Unavailable, match="does not answer"):
            call()
    engine.close()


def test_opening_imports_no_engine_before_it_is_chosen():
    code = "import sys, indexes.engines.opening; print(sorted({'qdrant_edge', 'qdrant_client'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"
