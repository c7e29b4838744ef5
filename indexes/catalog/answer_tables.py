"""The tables about answers: those that are kept, what they were made from, what made them, and what they took."""

import time
from typing import Any

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from indexes.catalog.tables import Base


class StoredResponse(Base):
    """An answer kept for its app. `redacted_at` says when a deleted document took its text along."""

    __tablename__ = "responses"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float] = mapped_column(default=time.time)
    body: Mapped[dict[str, Any]]
    input: Mapped[list[Any]]
    redacted_at: Mapped[float | None]


class ResponseSource(Base):
    """Which revisions an answer was made from, so that deleting one finds the answers that hold its text."""

    __tablename__ = "response_sources"
    response_id: Mapped[str] = mapped_column(ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True)
    revision_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class Trace(Base):
    """What made one answer (I11): ids, hashes, scores and timings, never text."""

    __tablename__ = "traces"
    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float] = mapped_column(default=time.time)
    body: Mapped[dict[str, Any]]


class SpendingRow(Base):
    """Tokens that a language model read and wrote in one day, counted from 1970 (UTC)."""

    __tablename__ = "spending"
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    llm: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger)
