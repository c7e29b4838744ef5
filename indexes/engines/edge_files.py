"""How the embedded engine lies on disk.

    root/lock                      held by the process that owns the directory
    root/<version>/manifest.json   what built the version (I6)
    root/<version>/current.json    which shard answers, and how many points its graph was built over
    root/<version>/shard-<n>/      the shard itself
    root/.work-*                   being made or being erased: whatever is left of it is removed at the next start

A version appears by renaming a finished directory and disappears by renaming it away, so a kill leaves no half of one.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexes.engines.checks import unknown_version
from indexes.errors import IndexDamaged, InvalidRequest
from indexes.locks import WORK, own_directory


@dataclass(frozen=True, slots=True)
class Current:
    """The shard that answers, and how many points it held when its graph was built."""

    shard: str
    optimised_points: int


class EdgeFiles:
    """The directory of all versions, owned by one process at a time.

    Raises SettingsError where the directory cannot be used or another process owns it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = own_directory(
            root,
            "the vectors",
            "give this one a directory of its own, or let them share: by `citewell retrieval` (`kind = remote`) or a "
            "Qdrant server (`kind = qdrant_server`)",
        )

    def folder(self, version_id: str) -> Path:
        """Where a version lies or would lie. Raises InvalidRequest for an id that is no plain name."""
        if not re.fullmatch(r"\w[\w-]*", version_id, re.ASCII):
            raise InvalidRequest(f"{version_id!r} is not the id of an index version.")
        return self._root / version_id

    def work(self) -> Path:
        """A fresh directory that is gone at the next start unless it is renamed."""
        return Path(tempfile.mkdtemp(prefix=WORK, dir=self._root))

    def publish(self, work: Path, version_id: str) -> None:
        """Make a finished directory the version."""
        work.rename(self.folder(version_id))
        sync(self._root)

    def remove(self, version_id: str) -> None:
        """Erase a version, if there is one."""
        grave = self.work()
        with suppress(FileNotFoundError):
            self.folder(version_id).rename(grave)
        sync(self._root)
        erase(grave)

    def close(self) -> None:
        """Let another process own the directory."""
        os.close(self._lock)


def read_current(folder: Path) -> Current:
    """Raises NotFound if the version was dropped, and IndexDamaged if that cannot be read."""
    with _damage(folder, "current.json"):
        return Current(**_read(folder, "current.json"))


def write_current(folder: Path, current: Current) -> None:
    """Durable when it returns; readers see the old or the new."""
    _write(folder, "current.json", asdict(current))


def read_manifest_hash(folder: Path) -> str:
    """Raises NotFound if there is no such version, and IndexDamaged if that cannot be read."""
    with _damage(folder, "manifest.json"):
        return str(_read(folder, "manifest.json")["hash"])


def write_manifest(folder: Path, manifest: dict[str, Any], manifest_hash: str) -> None:
    """The manifest itself is for people; its hash is what is compared."""
    _write(folder, "manifest.json", {"hash": manifest_hash, "manifest": manifest})


def erase(folder: Path) -> None:
    """Remove a directory. What cannot be removed now is removed at the next start."""
    shutil.rmtree(folder, ignore_errors=True)


def size_bytes(folder: Path) -> int:
    """What a copy of the directory takes; holes in files are copied as zeros."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sync_log(shard: Path) -> None:
    """Make everything applied to an open shard durable: it replays its write-ahead log when it is opened."""
    log = shard / "wal"
    for file in log.iterdir():
        with suppress(FileNotFoundError):  # a file for later, made by the shard under a passing name
            sync(file)
    sync(log)


def sync(path: Path) -> None:
    """Push a file or the entries of a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(folder: Path, name: str) -> dict[str, Any]:
    if not folder.exists():
        raise unknown_version(folder.name)
    data: dict[str, Any] = json.loads((folder / name).read_bytes())
    return data


@contextmanager
def _damage(folder: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ValueError, TypeError, LookupError) as error:
        if not folder.exists():  # dropped between two looks
            raise unknown_version(folder.name) from error
        raise damaged(folder.name, f"its {name} is missing or holds something else") from error


def damaged(version_id: str, what: str) -> IndexDamaged:
    """Says that a version must be made anew."""
    return IndexDamaged(f"Index version {version_id} is damaged: {what}. A worker makes it anew.")


def _write(folder: Path, name: str, data: dict[str, Any]) -> None:
    fresh = folder / f"{name}.new"
    fresh.write_text(json.dumps(data, indent=1))
    sync(fresh)
    fresh.replace(folder / name)
    sync(folder)
