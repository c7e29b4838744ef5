"""Rows of the catalog as objects of the wire."""

import time
from collections.abc import Sequence

from api.wire.chunking import from_chunking
from api.wire.documents import Document, DocumentChunk, SupersededRevision
from api.wire.file_batches import FileBatch
from api.wire.files import FileObject
from api.wire.receipts import DeleteReceipt, Gone, VersionChecked
from api.wire.vector_store_files import DocumentProblem, FileStatus, LastError, VectorStoreFile
from api.wire.vector_stores import ExpiresAfter, FileCounts, VectorStore
from evaluation.thresholds import Thresholds
from indexes.catalog import tables
from indexes.catalog.stores import Counts
from indexes.catalog.tables import Revision, RevisionState
from indexes.manifest import Chunking
from ingestion import receipt as receipts
from ingestion.receipt import Receipt

_STATUS: dict[RevisionState, FileStatus] = {
    RevisionState.PENDING: "in_progress",
    RevisionState.CURRENT: "completed",
    RevisionState.FAILED: "failed",
    RevisionState.CANCELLED: "cancelled",
    RevisionState.SUPERSEDED: "completed",
    RevisionState.DELETED: "cancelled",
}
STATES: dict[FileStatus, RevisionState] = {
    "in_progress": RevisionState.PENDING,
    "completed": RevisionState.CURRENT,
    "failed": RevisionState.FAILED,
    "cancelled": RevisionState.CANCELLED,
}


def file(row: tables.File) -> FileObject:
    """An uploaded file."""
    return FileObject.model_validate(
        {
            "id": row.id,
            "bytes": row.bytes,
            "created_at": int(row.created_at),
            "filename": row.filename,
            "purpose": row.purpose,
            "expires_at": seconds(row.expires_at),
            "sha256": row.sha256,
        }
    )


def store(row: tables.Store, counts: Counts, eta_s: float | None = None) -> VectorStore:
    """A store with what it counts."""
    days = row.expires_after_days
    return VectorStore(
        id=row.id,
        created_at=int(row.created_at),
        name=row.name or "",
        description=row.description,
        status="in_progress" if counts.in_progress else "completed",
        usage_bytes=counts.usage_bytes,
        file_counts=file_counts(counts),
        chunks_done=counts.chunks_done,
        chunks_total=counts.chunks_total,
        eta_s=eta_s,
        metadata=row.meta,
        last_active_at=int(row.last_active_at),
        expires_after=ExpiresAfter(anchor="last_active_at", days=days) if days else None,
        expires_at=int(row.last_active_at + days * 86_400) if days else None,
        live_index_version=row.live_version,
        gate=Thresholds(**row.gate),
    )


def file_counts(counts: Counts) -> FileCounts:
    """Counts as the wire has them."""
    return FileCounts(
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
        total=counts.total,
    )


def store_file(row: Revision, eta_s: float | None = None, parent: Revision | None = None) -> VectorStoreFile:
    """A file in a store; `parent` is what it was taken out of."""
    problem = _problem(row) if row.state == RevisionState.FAILED else None
    return VectorStoreFile(
        id=row.file_id,
        created_at=int(row.created_at),
        vector_store_id=row.store_id,
        status=_STATUS[row.state],
        usage_bytes=row.usage_bytes,
        last_error=LastError.of(problem),
        attributes=row.attributes,
        chunking_strategy=from_chunking(_chunking(row)),
        key=row.key,
        parent_key=parent and parent.key,
        parent_file_id=parent and parent.file_id,
        stage=row.stage.value,
        chunks_done=row.chunks_done,
        chunks_total=row.chunks_total or None,
        attempts=row.attempts,
        started_at=seconds(row.started_at),
        updated_at=int(row.updated_at),
        eta_s=eta_s,
        error=_problem(row),
        warnings=row.warnings,
    )


def batch(row: tables.Batch, counts: Counts, eta_s: float | None = None) -> FileBatch:
    """A batch; a cancelled one is cancelled once nothing of it is in progress."""
    status: FileStatus = "completed"
    if counts.in_progress:
        status = "in_progress"
    elif row.cancelled_at is not None:
        status = "cancelled"
    elif counts.total and counts.failed == counts.total:
        status = "failed"
    return FileBatch(
        id=row.id,
        created_at=int(row.created_at),
        vector_store_id=row.store_id,
        status=status,
        file_counts=file_counts(counts),
        chunks_done=counts.chunks_done,
        chunks_total=counts.chunks_total,
        eta_s=eta_s,
    )


def document(
    row: Revision, of_key: Sequence[Revision], eta_s: float | None = None, parent: Revision | None = None
) -> Document:
    """The newest revision of a key, with those it superseded, newest first; `parent` is what it was taken out of."""
    current = next((other for other in of_key if other.state == RevisionState.CURRENT), None)
    return Document(
        id=row.key,
        vector_store_id=row.store_id,
        key=row.key,
        parent_key=parent and parent.key,
        parent_file_id=parent and parent.file_id,
        file_id=row.file_id,
        current_file_id=current and current.file_id,
        sha256=row.sha256,
        status=_STATUS[row.state],
        stage=row.stage.value,
        chunks_done=row.chunks_done,
        chunks_total=row.chunks_total or None,
        attempts=row.attempts,
        started_at=seconds(row.started_at),
        updated_at=int(row.updated_at),
        eta_s=eta_s,
        error=_problem(row),
        superseded=[
            SupersededRevision(
                file_id=other.file_id,
                sha256=other.sha256,
                attached_at=int(other.created_at),
                superseded_at=int(other.updated_at),
            )
            for other in of_key
            if other.state == RevisionState.SUPERSEDED
        ],
    )


def receipt(given: Receipt) -> DeleteReceipt:
    """What a delete has verified, just now."""
    return DeleteReceipt(
        complete=given.complete,
        verified_at=int(time.time()),
        revisions=_gone(given.revisions),
        chunks=_gone(given.chunks),
        texts=_gone(given.texts),
        files=_gone(given.files),
        responses=_gone(given.responses),
        index_versions=[VersionChecked(id=ident, remaining_points=left) for ident, left in given.points.items()],
    )


def chunk(row: tables.ChunkRow) -> DocumentChunk:
    """One chunk of a document."""
    return DocumentChunk(
        id=row.id,
        ordinal=row.ordinal,
        start=row.start,
        end=row.end,
        tokens=row.tokens,
        page=row.page_start,
        section=row.section,
        orders=row.orders,
        text=row.text,
    )


def _gone(counted: receipts.Gone) -> Gone:
    return Gone(found=counted.found, remaining=counted.remaining)


def _problem(row: Revision) -> DocumentProblem | None:
    if row.error_code is None or row.error_message is None:
        return None
    return DocumentProblem(code=row.error_code, message=row.error_message)


def _chunking(row: Revision) -> Chunking | None:
    return Chunking(row.max_tokens, row.overlap_tokens or 0) if row.max_tokens else None


def seconds(at: float | None) -> int | None:
    """A time as the wire has it."""
    return None if at is None else int(at)
