"""How the FAISS index of a version lies on disk, beside the engine that holds the truth.

    root/lock                     held by the process that owns the directory
    root/<version>/part-<n>/      the main part: vectors, lists, graph, rows, groups; the highest number counts
        part.json                 format, manifest hash, and size and SHA-256 of every other file but the journal
        journal                   revisions written to since, one a line: what must be read again from the truth
    root/.work-*                  being made or being erased: whatever is left of it is removed at the next start

A part appears by renaming a finished, synced folder, so a kill leaves the old one or the new one. A revision is in
the journal before it is written to, so a kill leaves no change that is not found out.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from indexes.engines.edge_files import sync
from indexes.errors import Unavailable
from indexes.locks import WORK, own_directory
from indexes.room import full_disks

FORMAT = 1
"""Of the files: parts of another one are built anew."""

_PART, _FACTS, _JOURNAL = "part-", "part.json", "journal"


class BadPart(Unavailable):
    """The files of a part are not what was written, or belong to another manifest or release."""


class FaissFiles:
    """The directory of all versions, owned by one process at a time.

    Raises SettingsError where the directory cannot be used or another process owns it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = own_directory(root, "the FAISS indexes", "or give this one a `root` of its own")

    def part(self, version_id: str) -> Path | None:
        """The folder of the main part, if there is one."""
        found = (self.root / version_id).glob(f"{_PART}*")
        return max(found, key=_number, default=None)

    @contextmanager
    def work(self) -> Iterator[Path]:
        """An empty folder, gone after the block unless it was published."""
        folder = Path(tempfile.mkdtemp(prefix=WORK, dir=self.root))
        try:
            with full_disks():
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, work: Path, version_id: str, journal: Iterable[str]) -> Path:
        """Make a sealed folder the version's part, with what was written to meanwhile; gives its path."""
        note(work, journal)
        sync(work)
        old = self.part(version_id)
        fresh = self.root / version_id / f"{_PART}{_number(old) + 1 if old else 0}"
        fresh.parent.mkdir(exist_ok=True)
        work.rename(fresh)
        sync(fresh.parent)
        sync(self.root)
        if old:
            shutil.rmtree(old, ignore_errors=True)
        return fresh

    def remove(self, version_id: str) -> None:
        """Erase the files of a version, if there are any."""
        with self.work() as grave, suppress(FileNotFoundError):
            (self.root / version_id).rename(grave)

    def close(self) -> None:
        """Let another process own the directory."""
        os.close(self._lock)


def seal(folder: Path, manifest_hash: str) -> None:
    """Write down what is in the folder. Durable when it returns."""
    files = {path.name: _fingerprint(path) for path in sorted(folder.iterdir())}
    (folder / _FACTS).write_text(json.dumps({"format": FORMAT, "manifest": manifest_hash, "files": files}, indent=1))
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def check(folder: Path, manifest_hash: str) -> None:
    """Raises BadPart unless every file is as `seal` saw it, for this manifest."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        expected = {"format": FORMAT, "manifest": manifest_hash}
        wrong = [name for name, value in expected.items() if facts[name] != value]
        wrong += [name for name, seen in facts["files"].items() if _fingerprint(folder / name) != seen]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadPart(f"{folder.name}: {error!r}") from error
    if wrong:
        raise BadPart(f"{folder.name}: not as it was written: {', '.join(wrong)}")


def note(folder: Path, revision_ids: Iterable[str]) -> None:
    """Add to the journal of a part. Durable when it returns."""
    with full_disks(), (folder / _JOURNAL).open("a") as journal:
        # The line before may have been cut short by a kill.
        journal.writelines(f"\n{revision}\n" for revision in revision_ids)
        journal.flush()
        os.fsync(journal.fileno())


def noted(folder: Path) -> set[str]:
    """The revisions in the journal. Raises BadPart where there is none."""
    try:
        text = (folder / _JOURNAL).read_text()
    except (OSError, ValueError) as error:
        raise BadPart(f"{folder.name}: {error!r}") from error
    # A line that was cut short is of a write that had not begun, and names no revision: no harm.
    return set(text.split())


def _fingerprint(path: Path) -> list[object]:
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def _number(part: Path) -> int:
    return int(part.name.removeprefix(_PART))
