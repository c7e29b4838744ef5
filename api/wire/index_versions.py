"""Index versions: one manifest and the points built by it."""

from typing import Any, Literal

from pydantic import Field

from api.wire.base import Listed, ReplyModel
from api.wire.vector_store_files import DocumentProblem


class IndexVersionCounts(ReplyModel):
    """What the version holds."""

    files: int = 0
    chunks: int = 0
    embedded: int = Field(0, description="Chunks that the model read for this version.")
    reused: int = Field(0, description="Chunks whose vectors were there already.")


class BuildProgress(ReplyModel):
    """How far a build is, in files."""

    done: int
    total: int
    eta_s: float | None = Field(None, description="Estimated seconds until it is ready; null where unknown.")


class IndexVersion(Listed):
    """One version of a store's index; exactly one is live."""

    id: str = Field(description="Identifier, `ixv_…`.")
    object: Literal["vector_store.index_version"] = "vector_store.index_version"
    vector_store_id: str = Field(description="The store.")
    status: Literal["building", "ready", "live", "retired", "failed", "deleted"] = Field(description="Its state.")
    manifest: dict[str, Any] = Field(description="Everything that decides which points it holds.")
    manifest_hash: str = Field(description="SHA-256 of the manifest.")
    counts: IndexVersionCounts = Field(description="What it holds.")
    progress: BuildProgress = Field(description="How far the build is.")
    created_at: int = Field(description="When it was created, Unix seconds.")
    promoted_at: int | None = Field(None, description="When it last became live, Unix seconds.")
    error: DocumentProblem | None = Field(None, description="Why it failed; null unless failed.")
