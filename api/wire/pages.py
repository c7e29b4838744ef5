"""Lists that page by cursor: `after` takes the `last_id` of the page before."""

from collections.abc import Sequence
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field

from api.wire.base import Id, Listed, ReplyModel, RequestModel

T = TypeVar("T", bound=Listed)


class PageQuery(RequestModel):
    """Which part of a list: newest first unless `order` says otherwise."""

    limit: int = Field(20, ge=1, le=100, description="How many objects to return.")
    order: Literal["asc", "desc"] = Field("desc", description="By creation: `asc` is oldest first.")
    after: Id | None = Field(None, description="Return what follows this id: the `last_id` of the page before.")
    before: Id | None = Field(None, description="Return what comes right before this id.")


class Page(ReplyModel, Generic[T]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[T] = Field(description="The objects, in the order asked for.")
    first_id: str | None = Field(description="Id of the first object; null on an empty page.")
    last_id: str | None = Field(description="Id of the last object: pass it as `after` to get the next page.")
    has_more: bool = Field(description="Whether more objects follow.")

    @classmethod
    def of(cls, data: Sequence[T], *, has_more: bool) -> Self:
        """The page that holds `data`."""
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=list(data), first_id=ends[0], last_id=ends[1], has_more=has_more)
