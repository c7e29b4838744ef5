"""API keys. The key itself is shown once, at creation; the catalog keeps its SHA-256."""

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import ApiKey, Role
from indexes.errors import NotFound
from indexes.ids import Kind, new_id

PREFIX = "cw-"
DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key's id and name, the project whose data it sees, and what it may do."""

    key_id: str
    name: str
    project: str
    role: Role

    @property
    def actor(self) -> str:
        """Who it is in histories. Names need not be unique."""
        return f"{self.name} ({self.key_id})"


async def create(session: AsyncSession, name: str, project: str, role: Role) -> tuple[ApiKey, str]:
    """Make a key; the second value is the only copy of the secret."""
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(id=new_id(Kind.KEY), project=project, name=name, sha256=_digest(secret), role=role)
    session.add(row)
    await session.flush()
    return row, secret


def caller(connection: Connection, secret: str) -> Caller | None:
    """Whose key this is, or None. For `Database.snapshot`: every request asks it."""
    row = connection.execute(_OF_SECRET, {"sha256": _digest(secret)}).one_or_none()
    return Caller(*row) if row else None


_OF_SECRET = select(ApiKey.id, ApiKey.name, ApiKey.project, ApiKey.role).where(
    ApiKey.sha256 == bindparam("sha256"), ApiKey.revoked_at.is_(None)
)


async def listing(session: AsyncSession) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return list(await session.scalars(select(ApiKey).order_by(ApiKey.created_at)))


async def revoke(session: AsyncSession, key_id: str) -> None:
    """Make a key useless from now on. Raises NotFound."""
    row = await session.scalar(select(ApiKey).where(ApiKey.id == key_id))
    if row is None:
        raise NotFound(f"There is no API key '{key_id}'. List them with `citewell keys list`.")
    row.revoked_at = row.revoked_at or time.time()


async def any_exists(session: AsyncSession) -> bool:
    """Whether a key was ever made in this catalog."""
    return bool(await session.scalar(select(func.count()).select_from(ApiKey)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
