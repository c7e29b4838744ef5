"""Batches: many files attached in one request."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.wire.base import AttributesIn, Id, ReplyModel, RequestModel
from api.wire.chunking import ChunkingStrategyIn
from api.wire.vector_store_files import FileStatus, VectorStoreFileCreate
from api.wire.vector_stores import FileCounts

MAX_BATCH_FILES = 2000


class FileBatchCreate(RequestModel):
    """Attach many files: `file_ids`, alike in all, or `files`, each with its own key, attributes and chunking."""

    file_ids: list[Id] | None = Field(
        None, min_length=1, max_length=MAX_BATCH_FILES, description="Files that share what is said beside this field."
    )
    files: list[VectorStoreFileCreate] | None = Field(
        None, min_length=1, max_length=MAX_BATCH_FILES, description="Files with their own settings."
    )
    attributes: AttributesIn | None = None
    chunking_strategy: ChunkingStrategyIn | None = Field(None, description="How all files in `file_ids` are cut.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.file_ids is None) == (self.files is None):
            raise PydanticCustomError("invalid_value", "must have either `file_ids` or `files`, and not both")
        if self.files is not None and (self.attributes is not None or self.chunking_strategy is not None):
            raise PydanticCustomError(
                "invalid_value", "has `files`: give `attributes` and `chunking_strategy` inside each of them"
            )
        return self

    def attachments(self) -> list[VectorStoreFileCreate]:
        """Both forms as one: what to attach, in order."""
        if self.files is not None:
            return self.files
        return [
            VectorStoreFileCreate(file_id=file, attributes=self.attributes, chunking_strategy=self.chunking_strategy)
            for file in self.file_ids or ()
        ]


class FileBatch(ReplyModel):
    """How far a batch is."""

    id: str = Field(description="Identifier, `vsfb_…`.")
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int = Field(description="When it was created, Unix seconds.")
    vector_store_id: str = Field(description="The store.")
    status: FileStatus = Field(description="`in_progress` while any of its files is.")
    file_counts: FileCounts = Field(description="Its files by state.")
    chunks_done: int = Field(0, description="Chunks embedded so far, of what is in progress or completed.")
    chunks_total: int = Field(0, description="Chunks of the same files, as far as they are cut.")
    eta_s: float | None = Field(
        None, description="Estimated seconds until nothing is in progress, by the speed of the last minutes."
    )
