"""Lists by creation, a page at a time, as the API's `after`, `before`, `limit` and `order` ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from indexes.errors import InvalidRequest

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins and how long it is; `after` and `before` are ids of rows of the same list."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in order, and whether the list goes on after them."""

    rows: Sequence[Row]
    has_more: bool


async def page(
    session: AsyncSession,
    query: Select[Row],
    seq: InstrumentedAttribute[int],
    ident: InstrumentedAttribute[str],
    cursor: Cursor,
) -> Page[Row]:
    """One page of `query`, which selects one entity with the columns `seq` and `ident`.

    Raises InvalidRequest where `after` or `before` is no row of the list.
    """
    descending = cursor.order == "desc"
    for bound, name, forward in ((cursor.after, "after", True), (cursor.before, "before", False)):
        if bound is not None:
            at = await _position(session, query, seq, ident == bound, name)
            query = query.where(seq > at if forward != descending else seq < at)
    # `before` asks for the rows next to the bound, so the walk goes backwards and is turned round at the end.
    backwards = cursor.before is not None and cursor.after is None
    query = query.order_by(seq.desc() if descending != backwards else seq.asc()).limit(cursor.limit + 1)
    rows: list[Row] = list(await session.scalars(query))
    has_more = len(rows) > cursor.limit
    rows = rows[: cursor.limit]
    return Page(rows[::-1] if backwards else rows, has_more)


async def _position(
    session: AsyncSession,
    query: Select[Row],
    seq: InstrumentedAttribute[int],
    is_bound: ColumnElement[bool],
    name: str,
) -> int:
    position = await session.scalar(query.with_only_columns(seq).where(is_bound).order_by(seq.desc()).limit(1))
    if position is None:
        raise InvalidRequest(
            f"'{name}' is not the id of an item of this list. Use an id from an earlier page.", param=name
        )
    return int(position)
