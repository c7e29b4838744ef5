"""What is in a mail or an archive, as documents of their own."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from indexes.blobs import Blobs
from indexes.catalog import files, parts, stores
from indexes.catalog.database import Database
from indexes.catalog.parts import Part
from indexes.catalog.tables import File, Revision
from indexes.ids import Kind, new_id
from indexes.model import CanonicalText
from ingestion.erase import file_key
from ingestion.local_file import local_file
from ingestion.parse import CONTAINERS
from ingestion.parse.unpack import Unpacked, UnpackedPart

MAX_KEY_CHARS = 512
_DIGEST_CHARS = 8
_PURPOSE = "user_data"


class Unpacker(Protocol):
    """Opens containers outside this process, within limits."""

    async def unpack(self, path: Path, filename: str, into: Path) -> Unpacked:
        """What is in the container at `path`, written into the empty folder `into`. Raises DocumentError."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a revision holds; `warnings` are sentences on what stayed inside."""

    parts: Sequence[Part] = ()
    warnings: Sequence[str] = ()


class PartFinder:
    """Takes parts out of revisions, for one process."""

    def __init__(self, database: Database, blobs: Blobs, unpacker: Unpacker) -> None:
        self._database = database
        self._blobs = blobs
        self._unpacker = unpacker

    @asynccontextmanager
    async def found(self, revision: Revision, text: CanonicalText) -> AsyncIterator[Found]:
        """The parts of a revision; a part has none. Bytes that the store lacks are durable before the block begins.

        Those that no file was made for when it ends, however it ends, are forgotten. Raises DocumentError.
        """
        if revision.parent_id is not None or text.media_type not in CONTAINERS:
            yield Found()
            return
        kept: list[File] = []
        try:
            yield await self._found(revision, kept)
        finally:
            await self._forget_unused(kept)

    async def _found(self, revision: Revision, kept: list[File]) -> Found:
        into = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="citewell-parts-"))
        try:
            async with local_file(self._blobs, file_key(revision.file_id)) as path:
                unpacked = await self._unpacker.unpack(path, revision.filename, into)
            by_key = {part_key(revision.key, part.name): part for part in unpacked.parts}
            async with self._database.read() as session:
                held = await parts.held(session, revision, {key: part.sha256 for key, part in by_key.items()})
                project = await stores.project(session, revision.store_id)
            found = []
            for key, part in by_key.items():
                file = None if key in held else await self._keep(part, project, kept)
                found.append(Part(key, part.sha256, file))
            return Found(found, unpacked.warnings)
        finally:
            await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)

    async def _keep(self, part: UnpackedPart, project: str, kept: list[File]) -> File:
        file = File(
            id=new_id(Kind.FILE),
            project=project,
            sha256=part.sha256,
            bytes=part.size_bytes,
            filename=PurePosixPath(part.name).name,
            purpose=_PURPOSE,
        )
        kept.append(file)
        await asyncio.to_thread(self._blobs.add, part.path, file_key(file.id))
        return file

    async def _forget_unused(self, kept: Sequence[File]) -> None:
        # Asked of the catalog, since a commit may have worked although its answer was lost.
        async with self._database.read() as session:
            used = await files.existing(session, [file.id for file in kept])
        for file in kept:
            if file.id not in used:
                await asyncio.to_thread(self._blobs.delete, file_key(file.id))


def part_key(parent_key: str, name: str) -> str:
    """The key of a part: below its parent's, which is cut and marked by its hash where both together are too long."""
    key = f"{parent_key}/{name}"
    if len(key) <= MAX_KEY_CHARS:
        return key
    mark = f"~{hashlib.sha256(parent_key.encode()).hexdigest()[:_DIGEST_CHARS]}/"
    return parent_key[: MAX_KEY_CHARS - len(mark) - len(name)] + mark + name
