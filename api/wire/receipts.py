"""Receipts of deletes: what was verified gone, as a program can read it."""

from typing import Literal

from pydantic import Field

from api.wire.base import ReplyModel


class Gone(ReplyModel):
    """One kind of thing."""

    found: int = Field(description="How many there were before the delete.")
    remaining: int = Field(description="How many were still found when it was looked again after it.")


class VersionChecked(ReplyModel):
    """An index version that was asked for points of what is deleted."""

    id: str = Field(description="Id of the index version, `ixv_…`.")
    remaining_points: int = Field(description="Points it still held after the delete.")


class DeleteReceipt(ReplyModel):
    """What was looked for after the delete, not what was assumed. No reader sees any of it, whatever remains."""

    object: Literal["delete_receipt"] = "delete_receipt"
    complete: bool = Field(
        description="Whether nothing remains. False where a worker held a document at that moment: the rest is erased "
        "as soon as it lets go."
    )
    verified_at: int = Field(description="When it was looked, Unix seconds.")
    revisions: Gone = Field(description="Revisions in the catalog.")
    chunks: Gone = Field(description="Chunks with their text in the catalog.")
    texts: Gone = Field(description="Canonical texts in the blob storage.")
    files: Gone = Field(description="Uploaded bytes in the blob storage; zero where the file itself stays.")
    responses: Gone = Field(description="Stored answers with text of it; those found are redacted.")
    index_versions: list[VersionChecked] = Field(description="Every index version that may have held points.")
