"""Files: immutable uploaded bytes."""

from typing import Literal

from pydantic import Field

from api.wire.base import Listed, ReplyModel
from api.wire.pages import PageQuery
from api.wire.receipts import DeleteReceipt

FilePurpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class FilesQuery(PageQuery):
    """Which files to list."""

    limit: int = Field(10_000, ge=1, le=10_000, description="How many files to return.")
    purpose: FilePurpose | None = Field(None, description="Only files uploaded for this purpose.")


class FileObject(Listed):
    """One uploaded file. Its bytes never change; a newer version of a document is a new file under the same key."""

    id: str = Field(description="Identifier, `file-…`.")
    object: Literal["file"] = "file"
    bytes: int = Field(description="Size in bytes.")
    created_at: int = Field(description="When it was uploaded, Unix seconds.")
    filename: str = Field(description="The name it was uploaded under.")
    purpose: FilePurpose = Field(description="What the client said the file is for. It changes nothing here.")
    status: Literal["uploaded", "processed", "error"] = Field(
        "processed", description="Always `processed`: work on a file is reported where it is attached to a store."
    )
    status_details: str | None = Field(None, description="Always null; see `error` of the vector store file.")
    expires_at: int | None = Field(None, description="When it is deleted by itself, Unix seconds; null: never.")
    sha256: str = Field(description="SHA-256 of the bytes, in hexadecimal.")


class FileDeleted(ReplyModel):
    """The file is gone, and so is everything that was made of it."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True
    receipt: DeleteReceipt | None = Field(None, description="What was verified gone.")
