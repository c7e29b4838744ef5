"""Ingestion as a client does it: upload what is new, attach it in batches, wait, and say what became of each file."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from api.cli.client import Client, RefusedByServer
from api.cli.progress import Bars
from api.wire.documents import Document
from api.wire.file_batches import FileBatch
from api.wire.files import FileObject
from api.wire.pages import Page
from api.wire.vector_store_files import VectorStoreFile
from api.wire.vector_stores import VectorStore

# Small enough that work begins while later files are still uploaded.
BATCH_FILES = 50
_POLL_S = 0.5


class Outcome(BaseModel):
    """What became of one file; `code` and `message` say why where it failed."""

    key: str
    status: Literal["completed", "unchanged", "in_progress", "cancelled", "failed"]
    file_id: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file on disk and the key it gets."""

    path: Path
    key: str


def collect(paths: Iterable[Path]) -> list[Source]:
    """The files behind `paths`, by key: a folder's files under their relative paths, hidden ones left out."""
    found: dict[str, Source] = {}
    for root in paths:
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            relative = Path(path.name) if path == root else path.relative_to(root)
            if path == root or not any(part.startswith(".") for part in relative.parts):
                key = os.fsencode(relative.as_posix()).decode("utf-8", "replace")
                found.setdefault(key, Source(path, key))
    return list(found.values())


@dataclass(slots=True)
class Ingestion:
    """One run. Work on the server goes on if it is cut off; running it again picks up the rest."""

    client: Client
    store: VectorStore
    bars: Bars
    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _batches: list[FileBatch] = field(default_factory=list)

    def run(self, sources: Sequence[Source], *, parallel: int, wait: bool) -> list[Outcome]:
        """Upload, attach, and wait if asked to. The outcomes are in the order of `sources`."""
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
        return [self._outcomes[source.key] for source in sources]

    def _uploaded(self, source: Source) -> Outcome:
        try:
            if self._is_unchanged(source):
                return Outcome(key=source.key, status="unchanged")
            file = self.client.upload(source.path, _filename(source), FileObject)
        except RefusedByServer as refusal:
            return Outcome(key=source.key, status="failed", code=refusal.code, message=refusal.message)
        except OSError as error:
            message = f"The file cannot be read: {error.strerror}."
            return Outcome(key=source.key, status="failed", code="unreadable", message=message)
        return Outcome(key=source.key, status="in_progress", file_id=file.id)

    def _is_unchanged(self, source: Source) -> bool:
        path = f"/vector_stores/{self.store.id}/documents"
        documents = self.client.get(path, Page[Document], {"key": source.key, "status": "completed"}).data
        return bool(documents) and documents[0].sha256 == _sha256(source.path)

    def _attach(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        files = [{"file_id": outcome.file_id, "key": outcome.key} for outcome in outcomes]
        try:
            batch = self.client.post(f"/vector_stores/{self.store.id}/file_batches", FileBatch, {"files": files})
        except RefusedByServer as refusal:
            for one in outcomes:
                self._outcomes[one.key] = one.model_copy(
                    update={"status": "failed", "code": refusal.code, "message": refusal.message}
                )
        else:
            self._batches.append(batch)

    def _wait(self) -> None:
        open_batches = {batch.id: batch for batch in self._batches}
        while open_batches:
            for batch_id in list(open_batches):
                batch = self.client.get(self._batch_path(batch_id), FileBatch)
                open_batches[batch_id] = batch
                if batch.file_counts.in_progress == 0:
                    self._settle(batch_id)
                    del open_batches[batch_id]
            ongoing = sum(batch.file_counts.in_progress for batch in open_batches.values())
            self.bars.finished(len(self._outcomes) - ongoing)
            if open_batches:
                time.sleep(_POLL_S)

    def _settle(self, batch_id: str) -> None:
        for file in self.client.pages(f"{self._batch_path(batch_id)}/files", VectorStoreFile):
            self._outcomes[file.key] = Outcome(
                key=file.key,
                status=file.status,
                file_id=file.id,
                code=file.error and file.error.code,
                message=file.error and file.error.message,
            )

    def _batch_path(self, batch_id: str) -> str:
        return f"/vector_stores/{self.store.id}/file_batches/{batch_id}"


def _filename(source: Source) -> str:
    return source.key.rsplit("/", 1)[-1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
