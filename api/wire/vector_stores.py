"""Vector stores: named knowledge bases."""

from typing import Annotated, Literal

from pydantic import Field

from api.wire.base import STORABLE, Id, Listed, Metadata, Name, ReplyModel, RequestModel
from api.wire.chunking import ChunkingStrategyIn
from api.wire.receipts import DeleteReceipt
from evaluation.thresholds import Thresholds

_GATE = "What a new index version must reach before it may answer. What is left out of it takes its default."


class ExpiresAfter(RequestModel):
    """When a store that nobody uses is deleted."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365, description="Days after the store was last written to or asked.")


class VectorStoreCreate(RequestModel):
    """A new store, empty or with files to ingest at once."""

    name: Name | None = Field(None, description="What people call the store; names need not be unique.")
    description: Annotated[str, Field(max_length=2048), STORABLE] | None = Field(
        None, description="What the store is for."
    )
    file_ids: list[Id] | None = Field(
        None, max_length=2000, description="Files to attach, each under its file name as key."
    )
    chunking_strategy: ChunkingStrategyIn | None = Field(
        None, description="How the files in `file_ids` are cut. Left out: as the store's index version says."
    )
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | None = Field(None, description="Left out: the store stays until it is deleted.")
    gate: Thresholds | None = Field(None, description=_GATE)


class VectorStoreUpdate(RequestModel):
    """What to change; what is left out stays. `model_fields_set` tells null from left out."""

    name: Name | None = Field(None, description="The new name.")
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | None = Field(None, description="Left out: the store stays until it is deleted.")
    gate: Thresholds | None = Field(None, description=_GATE)


class FileCounts(ReplyModel):
    """How many current revisions are in which state."""

    in_progress: int = Field(0, description="Waiting or being worked on.")
    completed: int = Field(0, description="Searchable, whole.")
    failed: int = Field(0, description="Cannot be ingested; each says why.")
    cancelled: int = Field(0, description="Cancelled before they were done.")
    total: int = Field(0, description="The sum.")


class VectorStore(Listed):
    """A named knowledge base."""

    id: str = Field(description="Identifier, `vs_…`.")
    object: Literal["vector_store"] = "vector_store"
    created_at: int = Field(description="When it was created, Unix seconds.")
    name: str = Field(description="What people call it; empty if it was given no name.")
    description: str | None = Field(None, description="What the store is for.")
    status: Literal["expired", "in_progress", "completed"] = Field(
        description="`in_progress` while any file is; searches see what is completed."
    )
    usage_bytes: int = Field(description="Bytes of the files and texts it holds.")
    file_counts: FileCounts = Field(description="Its files by state.")
    chunks_done: int = Field(0, description="Chunks embedded so far, of what is in progress or completed.")
    chunks_total: int = Field(0, description="Chunks of the same files, as far as they are cut.")
    eta_s: float | None = Field(
        None, description="Estimated seconds until nothing is in progress, by the speed of the last minutes."
    )
    metadata: Metadata = Field(description="The app's own pairs.")
    last_active_at: int | None = Field(None, description="When it was last written or searched, Unix seconds.")
    expires_after: ExpiresAfter | None = Field(None, description="Its expiry policy, if it has one.")
    expires_at: int | None = Field(None, description="When it expires if nobody uses it, Unix seconds.")
    live_index_version: str | None = Field(None, description="Id of the index version that answers, `ixv_…`.")
    gate: Thresholds = Field(
        default_factory=Thresholds, description="What a new index version must reach before it may answer."
    )


class VectorStoreDeleted(ReplyModel):
    """The store is gone with its index versions; its files stay until they are deleted."""

    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True
    receipt: DeleteReceipt | None = Field(None, description="What was verified gone.")
