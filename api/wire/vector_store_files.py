"""Files as they are attached to a store: state, progress, errors, canonical text."""

from typing import Literal, Self

from pydantic import Field

from api.wire.base import AttributesIn, AttributesOut, DocumentKey, Id, Listed, ReplyModel, RequestModel
from api.wire.chunking import ChunkingStrategyIn, ChunkingStrategyOut
from api.wire.pages import PageQuery
from api.wire.receipts import DeleteReceipt

FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]
Stage = Literal["received", "parsed", "chunked", "embedded", "indexed", "verified"]


class StoreFilesQuery(PageQuery):
    """Which files of a store to list."""

    filter: FileStatus | None = Field(None, description="Only files in this state.")


class VectorStoreFileCreate(RequestModel):
    """Attach a file to a store."""

    file_id: Id = Field(description="The file to attach.")
    key: DocumentKey | None = Field(
        None,
        description="Path-like name of the document in the store, `hr/leave.md`; left out: the file name. A file that "
        "is attached under a key already in use supersedes the older one, once it is completed.",
    )
    attributes: AttributesIn | None = None
    chunking_strategy: ChunkingStrategyIn | None = Field(
        None, description="How the file is cut. Left out: as the store's index version says."
    )


class VectorStoreFileUpdate(RequestModel):
    """New attributes for an attached file; they replace the old ones."""

    attributes: AttributesIn | None = Field(description="All pairs the file shall have; null removes them.")


class DocumentProblem(ReplyModel):
    """Why a document could not be ingested."""

    code: str = Field(description="`encrypted_file`, `no_text_layer`, `unsupported_file`, …: stable.")
    message: str = Field(description="A sentence for the owner of the document: what is wrong and what to do.")


class LastError(ReplyModel):
    """The same in the three codes that OpenAI has."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str

    @classmethod
    def of(cls, problem: DocumentProblem | None) -> Self | None:
        """The nearest official code: a problem of the service, of the format, or of this file."""
        match problem:
            case None:
                return None
            case DocumentProblem(code="unsupported_file"):
                return cls(code="unsupported_file", message=problem.message)
            case DocumentProblem(
                code="internal_error" | "unavailable" | "overloaded" | "insufficient_storage" | "parse_deferred"
            ):
                return cls(code="server_error", message=problem.message)
            case _:
                return cls(code="invalid_file", message=problem.message)


class VectorStoreFile(Listed):
    """A file in a store. `completed` means that every chunk is searchable."""

    id: str = Field(description="Id of the file, `file-…`.")
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int = Field(description="When it was attached, Unix seconds.")
    vector_store_id: str = Field(description="The store.")
    status: FileStatus = Field(description="How far the work is.")
    usage_bytes: int = Field(description="Bytes of the file and its text.")
    last_error: LastError | None = Field(None, description="`error` in OpenAI's three codes; null unless failed.")
    attributes: AttributesOut = Field(description="What searches can filter by.")
    chunking_strategy: ChunkingStrategyOut = Field(description="How it is cut.")
    key: str = Field(description="Path-like name of the document in the store.")
    parent_key: str | None = Field(
        None, description="The mail or archive it was taken out of; null if it was uploaded."
    )
    parent_file_id: str | None = Field(None, description="The file of that mail or archive.")
    stage: Stage = Field(description="The last stage that is done.")
    chunks_done: int = Field(0, description="Chunks embedded so far.")
    chunks_total: int | None = Field(None, description="Chunks in all; null until the text is cut.")
    attempts: int = Field(0, description="How often work on it has begun.")
    started_at: int | None = Field(None, description="When work on it began, Unix seconds; null while it waits.")
    updated_at: int | None = Field(None, description="When anything here last changed, Unix seconds.")
    eta_s: float | None = Field(None, description="Estimated seconds until it is completed; null where unknown.")
    error: DocumentProblem | None = Field(None, description="Why it failed; null unless failed.")
    warnings: list[str] = Field(default_factory=list, description="What its owner should know: pages without text, …")


class VectorStoreFileDeleted(ReplyModel):
    """No later reply contains the file. The file itself stays until it is deleted from `/v1/files`; a part's goes."""

    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True
    receipt: DeleteReceipt | None = Field(None, description="What was verified gone.")


class TextPart(ReplyModel):
    """A stretch of text."""

    type: Literal["text"] = "text"
    text: str


class FileContentPage(ReplyModel):
    """The canonical text of a file: the parts' texts joined are what every offset counts in (Unicode code points)."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextPart] = Field(description="The parts, in order.")
    has_more: bool = Field(False, description="Always false: all parts are here.")
    next_page: str | None = Field(None, description="Always null.")
