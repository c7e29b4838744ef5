"""Ingestion as a client does it: upload what is new, attach it in batches, wait, and say what became of each file."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from api.cli.client import Client, RefusedByServer
from api.cli.progress import Bars
from api.wire.documents import Document, DocumentDeleted
from api.wire.file_batches import FileBatch
from api.wire.files import FileObject
from api.wire.vector_store_files import VectorStoreFile
from api.wire.vector_stores import VectorStore
from indexes.errors import InvalidRequest

# Small enough that work begins while later files are still uploaded.
BATCH_FILES = 50
_POLL_S = 0.5


class Outcome(BaseModel):
    """What became of one document; `code` and `message` say why where it failed, `warnings` what its owner should know.

    `vanished`: it is in the store and no longer in the folders; `deleted`: it was, and is taken out.
    """

    key: str
    status: Literal["completed", "unchanged", "in_progress", "cancelled", "failed", "vanished", "deleted"]
    file_id: str | None = None
    code: str | None = None
    message: str | None = None
    warnings: list[str] = []


@dataclass(frozen=True, slots=True)
class Source:
    """A file on disk and the key it gets."""

    path: Path
    key: str


def collect(paths: Iterable[Path]) -> list[Source]:
    """The files behind `paths`, by key: a folder's files under their relative paths, hidden ones left out.

    Raises InvalidRequest where two files would have one key, and where a folder cannot be read: its files must not
    look as if they had vanished.
    """
    found: dict[str, Source] = {}
    for root in paths:
        for path in [root] if root.is_file() else _files(root):
            relative = path.name if path == root else path.relative_to(root).as_posix()
            key = os.fsencode(relative).decode("utf-8", "replace")
            other = found.setdefault(key, Source(path, key)).path
            if other.resolve() != path.resolve():
                raise InvalidRequest(f"{other} and {path} would both be '{key}'. Ingest the folder that holds both.")
    return list(found.values())


@dataclass(slots=True)
class Ingestion:
    """One run. Work on the server goes on if it is cut off; running it again picks up the rest."""

    client: Client
    store: VectorStore
    bars: Bars
    _known: dict[str, Document] = field(default_factory=dict)
    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _parts: list[Outcome] = field(default_factory=list)
    _batches: list[str] = field(default_factory=list)

    def run(self, sources: Sequence[Source], *, parallel: int, wait: bool) -> list[Outcome]:
        """Upload, attach, and wait if asked to. The outcomes are in the order of `sources`, then those of parts."""
        documents = self.client.pages(f"{self._path}/documents", Document)
        self._known = {one.key: one for one in documents if one.parent_key is None}  # parts come and go by themselves
        waiting: list[Outcome] = []
        with ThreadPoolExecutor(parallel) as pool:
            uploads = [pool.submit(self._uploaded, source) for source in sources]
            try:
                for upload in as_completed(uploads):
                    outcome = upload.result()
                    self._outcomes[outcome.key] = outcome
                    self.bars.uploaded()
                    waiting += [outcome] if outcome.status == "in_progress" else []
                    if len(waiting) >= BATCH_FILES:
                        self._attach(waiting)
                        waiting = []
            finally:
                pool.shutdown(cancel_futures=True)
        self._attach(waiting)
        if wait:
            self._wait()
        return [self._outcomes[source.key] for source in sources] + self._parts

    def vanished(self, sources: Sequence[Source], *, delete: bool) -> list[Outcome]:
        """After `run`: the documents that the store held before and `sources` do not, taken out if asked to."""
        keys = sorted(self._known.keys() - {source.key for source in sources})
        return [self._deleted(key) if delete else Outcome(key=key, status="vanished") for key in keys]

    @property
    def _path(self) -> str:
        return f"/vector_stores/{self.store.id}"

    def _uploaded(self, source: Source) -> Outcome:
        known = self._known.get(source.key)
        try:
            if known is not None and known.sha256 == _sha256(source.path):
                if known.status == "completed":
                    return Outcome(key=source.key, status="unchanged")
                return Outcome(key=source.key, status="in_progress", file_id=known.file_id)
            file = self.client.upload(source.path, _filename(source), FileObject)
        except RefusedByServer as refusal:
            return _failed(source.key, refusal)
        except OSError as error:
            message = f"The file cannot be read: {error.strerror}."
            return Outcome(key=source.key, status="failed", code="unreadable", message=message)
        return Outcome(key=source.key, status="in_progress", file_id=file.id)

    def _attach(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        files = [{"file_id": outcome.file_id, "key": outcome.key} for outcome in outcomes]
        try:
            batch = self.client.post(f"{self._path}/file_batches", FileBatch, {"files": files})
        except RefusedByServer as refusal:
            self._outcomes |= {one.key: _failed(one.key, refusal) for one in outcomes}
        else:
            self._batches.append(batch.id)

    def _wait(self) -> None:
        # Batches end about in order, so one is watched at a time, and the store tells the whole.
        for batch_id in self._batches:
            while self.client.get(f"{self._path}/file_batches/{batch_id}", FileBatch).file_counts.in_progress:
                self._show()
                time.sleep(_POLL_S)
            self._settle(batch_id)
            self._show()

    def _settle(self, batch_id: str) -> None:
        for file in self.client.pages(f"{self._path}/file_batches/{batch_id}/files", VectorStoreFile):
            outcome = Outcome(
                key=file.key,
                status=file.status,
                file_id=file.id,
                code=file.error and file.error.code,
                message=file.error and file.error.message,
                warnings=file.warnings,
            )
            if file.parent_key is None:
                self._outcomes[file.key] = outcome
            else:
                self._parts.append(outcome)

    def _show(self) -> None:
        store = self.client.get(self._path, VectorStore)
        unsettled = sum(one.status == "in_progress" for one in self._outcomes.values())
        ongoing = min(unsettled, store.file_counts.in_progress)  # the store may be busy with the work of others too
        self.bars.working(len(self._outcomes) - ongoing, store.chunks_done, store.chunks_total, store.eta_s)

    def _deleted(self, key: str) -> Outcome:
        try:
            self.client.delete(f"{self._path}/documents", DocumentDeleted, {"key": key})
        except RefusedByServer as refusal:
            return _failed(key, refusal)
        return Outcome(key=key, status="deleted")


def _files(root: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise InvalidRequest(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _failed(key: str, refusal: RefusedByServer) -> Outcome:
    return Outcome(key=key, status="failed", code=refusal.code, message=refusal.message)


def _filename(source: Source) -> str:
    return source.key.rsplit("/", 1)[-1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
