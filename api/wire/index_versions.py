"""Index versions: one manifest and the points built by it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.wire.base import STORABLE, Id, Listed, ReplyModel, RequestModel
from api.wire.chunking import ChunkingStrategyIn
from api.wire.vector_store_files import DocumentProblem


class LexicalIn(RequestModel):
    """BM25 parameters; what is left out is taken from the live version."""

    language: str | None = Field(None, description="Language of stemming and stop words.")
    k: float | None = Field(None, ge=0, le=10, description="Saturation of term frequency.")
    b: float | None = Field(None, ge=0, le=1, description="Weight of the chunk's length.")


class AnnIn(RequestModel):
    """HNSW parameters; what is left out is taken from the live version."""

    m: int | None = Field(None, ge=4, le=128, description="Neighbours of a point.")
    ef_construct: int | None = Field(None, ge=8, le=2048, description="Candidates while building.")


class IndexVersionCreate(RequestModel):
    """A version to build beside the live one; what is left out is taken from the live one."""

    embedding_model: Id | None = Field(None, description="An embedding model of `/v1/models`.")
    chunking_strategy: ChunkingStrategyIn | None = None
    lexical: LexicalIn | None = None
    ann: AnnIn | None = None
    dry_run: bool = Field(False, description="Only say what would be built and reused.")


class IndexVersionPromote(RequestModel):
    """Make a ready version the live one."""

    force: bool = Field(False, description="Promote although the quality gate refuses.")
    reason: Annotated[str, Field(max_length=1024), STORABLE] | None = Field(
        None, description="Kept in the version's history."
    )


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
