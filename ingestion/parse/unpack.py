"""Takes the files out of mails and archives, and out of archives inside them, within limits (invariant I14)."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from indexes.errors import DocumentError
from ingestion.parse.detect import ARCHIVES, Format, detect
from ingestion.parse.limits import Limits
from ingestion.parse.meter import Meter, UnfoldsTooFar, refusing_damage
from ingestion.parse.part import Part, Parts, clean_name, numbered

COPY_BYTES = 1 << 20
MAX_WARNINGS = 20

_Opener = Callable[[Path, str, Meter], Parts]
_OPENERS: Mapping[Format, str] = {
    **dict.fromkeys(ARCHIVES, "archive:members"),
    Format.EML: "attachments:of_eml",
    Format.MBOX: "attachments:of_mbox",
    Format.MSG: "attachments:of_msg",
}


@dataclass(frozen=True, slots=True)
class UnpackedPart:
    """One file that was taken out: its name in the container, where it lies now, and what it is."""

    name: str
    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`parts` in the order of the container, their names unique; `warnings` are sentences on what stayed inside."""

    parts: tuple[UnpackedPart, ...]
    warnings: tuple[str, ...] = ()


def unpack(path: Path, filename: str, limits: Limits, into: Path) -> Unpacked:
    """Write what is in the mail or archive at `path`, once called `filename`, into the empty folder `into`.

    Archives inside it are opened as well and are no parts themselves; mails inside it are parts, followed by their
    attachments. A part that cannot be taken out costs itself alone. A file whose format is not one of `CONTAINERS` has
    no parts. Names of files on disk are numbers: nothing in the container decides where anything is written.

    Raises DocumentError when nothing of a container can be taken out, or more than `limits` allow; OSError when a file
    cannot be read or written; MemoryError.
    """
    unpacking = _Unpacking(limits, into)
    if kind := _kind(path, filename, limits):
        unpacking.enter(path, kind, filename, "", None)
    more = len(unpacking.warnings) - MAX_WARNINGS
    warnings = unpacking.warnings[:MAX_WARNINGS] + ([f"{more} more parts stayed inside."] if more > 0 else [])
    return Unpacked(tuple(unpacking.parts), tuple(warnings))


@dataclass(slots=True)
class _Unpacking:
    limits: Limits
    into: Path
    parts: list[UnpackedPart] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)
    _written: int = 0

    def enter(self, path: Path, kind: Format, filename: str, folder: str, around: Meter | None, depth: int = 1) -> None:
        """Take out what is in one container, whose parts get `folder` before their names."""
        if depth > self.limits.max_depth:
            raise DocumentError(f"Archives lie more than {self.limits.max_depth} deep in each other.", code="too_large")
        meter = Meter(self.limits, path.stat().st_size, around)
        before = self._written
        try:
            with closing(_parts(kind, path, filename, meter)) as parts:  # An error must not leave the file open.
                for part in parts:
                    self._take(part, folder, meter, depth)
        except UnfoldsTooFar:
            raise
        except DocumentError as error:
            if self._written == before:
                raise
            self.warnings.append(f"{folder or filename}: not all of it could be taken out. {error.message}")

    def _take(self, part: Part, folder: str, meter: Meter, depth: int) -> None:
        """Write one part, and take out what is in it."""
        name = self._unique(clean_name(folder + part.name))
        try:
            taken = self._write(part, name)
        except UnfoldsTooFar:  # The container is at fault, not this part.
            raise
        except DocumentError as error:
            self.warnings.append(f"{name}: {error.message}")
            return
        kind = _kind(taken.path, part.name, self.limits)
        if kind not in ARCHIVES:
            self.parts.append(taken)
        if kind is None:
            return
        try:
            self.enter(taken.path, kind, part.name, f"{name}/", meter, depth + 1)
        except DocumentError as error:
            self.warnings.append(f"{name}: {error.message}")
        if kind in ARCHIVES:
            taken.path.unlink()

    def _write(self, part: Part, name: str) -> UnpackedPart:
        path = self.into / str(self._written)
        digest, size_bytes = hashlib.sha256(), 0
        try:
            with refusing_damage(), part.open() as stream, path.open("xb") as file:
                while data := stream.read(COPY_BYTES):
                    digest.update(data)
                    size_bytes += file.write(data)
        except DocumentError:
            path.unlink(missing_ok=True)
            raise
        self._written += 1
        return UnpackedPart(name, path, digest.hexdigest(), size_bytes)

    def _unique(self, name: str) -> str:
        number = self._names[name] = self._names.get(name, 0) + 1
        return name if number == 1 else self._unique(numbered(name, number))


def _kind(path: Path, name: str, limits: Limits) -> Format | None:
    """The format of a file that can have parts; None for every other. What is wrong with those is said by `parse`."""
    try:
        with refusing_damage():
            kind = detect(path, name, limits)
    except DocumentError:
        return None
    return kind if kind in _OPENERS else None


def _parts(kind: Format, path: Path, filename: str, meter: Meter) -> Parts:
    module, _, function = _OPENERS[kind].partition(":")
    opener: _Opener = getattr(import_module(f"ingestion.parse.{module}"), function)
    with refusing_damage():
        yield from opener(path, filename, meter)
