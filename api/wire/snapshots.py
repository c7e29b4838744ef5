"""Snapshots: named points in time of a store."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.wire.base import Id, Label, Listed, ReplyModel, RequestModel

NOW = "now"


def _not_now(name: str) -> str:
    if name == NOW:
        raise PydanticCustomError("invalid_value", "must be another one: `now` stands for what readers see now")
    return name


class SnapshotCreate(RequestModel):
    """Name what readers see now."""

    name: Annotated[Label, AfterValidator(_not_now)] = Field(description="Not used by another snapshot of the store.")


class DifferenceQuery(RequestModel):
    """What to compare a snapshot with."""

    to: Id = Field(NOW, description="Id or name of another snapshot, or `now`.")


class Snapshot(Listed):
    """A named point in time of a store. It never changes, but for documents that are deleted for good."""

    id: str = Field(description="Identifier, `snap_…`.")
    object: Literal["vector_store.snapshot"] = "vector_store.snapshot"
    vector_store_id: str = Field(description="The store.")
    name: str = Field(description="What people call it.")
    index_version: str = Field(description="The version that was live then, `ixv_…`.")
    documents: int = Field(description="How many documents readers saw then.")
    deleted_documents: int = Field(description="How many of them were deleted since; no search finds those any more.")
    created_at: int = Field(description="When it was taken, Unix seconds.")


class SnapshotDifference(ReplyModel):
    """What changed from one point in time to another, by document key."""

    object: Literal["vector_store.snapshot.difference"] = "vector_store.snapshot.difference"
    before: str = Field(description="Id of the snapshot.")
    after: str = Field(description="Id of the other one, or `now`.")
    added: list[str] = Field(description="Documents that are only in the other one.")
    changed: list[str] = Field(description="Documents of which the bytes differ.")
    removed: list[str] = Field(description="Documents that are not in the other one.")


class SnapshotDeleted(ReplyModel):
    """The snapshot is forgotten. What only it named is erased in the background."""

    id: str
    object: Literal["vector_store.snapshot.deleted"] = "vector_store.snapshot.deleted"
    deleted: bool = True
