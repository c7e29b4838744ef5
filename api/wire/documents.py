"""Documents: the keys of a store, each with its current revision and its history."""

from typing import Literal

from pydantic import Field

from api.wire.base import DocumentKey, Listed, OrdersScore, ReplyModel
from api.wire.pages import PageQuery
from api.wire.receipts import DeleteReceipt
from api.wire.vector_store_files import DocumentProblem, FileStatus, Stage


class DocumentsQuery(PageQuery):
    """Which documents of a store to list."""

    after: DocumentKey | None = Field(None, description="Return what follows this key: the `last_id` of a page.")
    before: DocumentKey | None = Field(None, description="Return what comes right before this key.")
    key: DocumentKey | None = Field(None, description="Only the document of this key.")
    status: FileStatus | None = Field(None, description="Only documents in this state.")
    stage: Stage | None = Field(None, description="Only documents in this stage.")


class SupersededRevision(ReplyModel):
    """An older file under the same key; searches no longer see it."""

    file_id: str
    sha256: str
    attached_at: int = Field(description="When it was attached, Unix seconds.")
    superseded_at: int = Field(description="When a newer one took its place, Unix seconds.")


class Document(Listed):
    """What a store holds, or is about to hold, under one key."""

    id: str = Field(description="Its key: what `after` takes.")
    object: Literal["vector_store.document"] = "vector_store.document"
    vector_store_id: str = Field(description="The store.")
    key: str = Field(description="Path-like name of the document in the store.")
    parent_key: str | None = Field(
        None, description="The mail or archive it was taken out of; null if it was uploaded."
    )
    parent_file_id: str | None = Field(None, description="The file of that mail or archive.")
    file_id: str = Field(description="The newest file under the key.")
    current_file_id: str | None = Field(None, description="The file that searches see now; null if none is completed.")
    sha256: str = Field(description="SHA-256 of its bytes, in hexadecimal.")
    status: FileStatus = Field(description="How far the work on it is.")
    stage: Stage = Field(description="The last stage that is done.")
    chunks_done: int = Field(0, description="Chunks embedded so far.")
    chunks_total: int | None = Field(None, description="Chunks in all; null until the text is cut.")
    attempts: int = Field(0, description="How often work on it has begun.")
    error: DocumentProblem | None = Field(None, description="Why it failed; null unless failed.")
    started_at: int | None = Field(None, description="When work on it began, Unix seconds; null while it waits.")
    updated_at: int | None = Field(None, description="When anything here last changed, Unix seconds.")
    eta_s: float | None = Field(None, description="Estimated seconds until it is completed; null where unknown.")
    superseded: list[SupersededRevision] = Field(default_factory=list, description="Older revisions, newest first.")


class DocumentDeleted(ReplyModel):
    """No later reply contains the document, under any of its revisions. The uploaded files stay."""

    id: str = Field(description="Its key.")
    object: Literal["vector_store.document.deleted"] = "vector_store.document.deleted"
    deleted: bool = True
    receipt: DeleteReceipt | None = Field(None, description="What was verified gone.")


class DocumentChunk(Listed):
    """One chunk of the current revision."""

    id: str = Field(description="Id of the chunk.")
    object: Literal["vector_store.document.chunk"] = "vector_store.document.chunk"
    ordinal: int = Field(description="Its place in the document, from 0.")
    start: int = Field(description="Where it begins in the canonical text, in code points.")
    end: int = Field(description="Where it ends.")
    tokens: int = Field(description="Its length in tokens of the embedding model.")
    page: int | None = Field(None, description="Page on which it begins, from 1.")
    section: list[str] = Field(default_factory=list, description="Headings above it, outermost first.")
    orders: OrdersScore = None
    text: str = Field(description="Its text.")
