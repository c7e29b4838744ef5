"""Idempotency keys: the same request sent twice makes one thing.

The key is committed in the transaction that creates the thing, so a crash leaves both or neither. It is forgotten after
a day: nobody sends a request again for longer.
"""

import time
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import IdempotencyKey
from indexes.errors import Conflict

KEPT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request's Idempotency-Key, and a hash of everything that makes it that request."""

    key: str
    fingerprint: str


async def earlier(session: AsyncSession, project: str, request: Idempotency | None) -> str | None:
    """The id of what the same request made before, or None.

    Raises Conflict where the key came with another request.
    """
    if request is None:
        return None
    row = await session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.project == project, IdempotencyKey.key == request.key)
    )
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise Conflict(
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
            code="idempotency_key_reused",
        )
    return row.resource_id


def remember(session: AsyncSession, project: str, request: Idempotency | None, resource_id: str) -> None:
    """Tie the key to what this transaction creates."""
    if request is not None:
        row = IdempotencyKey(project=project, key=request.key, fingerprint=request.fingerprint, resource_id=resource_id)
        session.add(row)


async def any_old(session: AsyncSession) -> bool:
    """Whether there are keys to forget."""
    old = select(IdempotencyKey.key).where(IdempotencyKey.created_at < time.time() - KEPT_S).limit(1)
    return await session.scalar(old) is not None


async def forget_old(session: AsyncSession) -> None:
    """Forget them."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < time.time() - KEPT_S))
