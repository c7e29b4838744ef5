"""The tables about changing an index: what each version holds, how versions compare, and points in time of a store."""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from indexes.catalog.tables import Base


class Holding(Base):
    """That an index version holds, or is about to hold, the points of a revision.

    The row is there before the first point is written; `verified_at` is set after all were read back. It outlives the
    revision, which is how points that were written while their revision was being erased are found.
    """

    __tablename__ = "holdings"
    version_id: Mapped[str] = mapped_column(ForeignKey("index_versions.id", ondelete="CASCADE"), primary_key=True)
    revision_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    chunks: Mapped[int] = mapped_column(default=0)
    verified_at: Mapped[float | None]


class EventKind(StrEnum):
    """What can happen to an index version."""

    CREATED = "created"
    PAUSED = "paused"
    RESUMED = "resumed"
    READY = "ready"
    FAILED = "failed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    TRAFFIC = "traffic"
    RESTORED = "restored"
    DELETED = "deleted"
    DAMAGED = "damaged"
    REPAIRED = "repaired"


class VersionEvent(Base):
    """One line of a store's history: who did what to which version, why, on which comparison."""

    __tablename__ = "version_events"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[str]
    kind: Mapped[EventKind]
    actor: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    forced: Mapped[bool] = mapped_column(default=False)
    comparison_id: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Comparison(Base):
    """A report of two versions side by side; it never changes."""

    __tablename__ = "comparisons"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"))
    baseline: Mapped[str]
    candidate: Mapped[str]
    golden_set_id: Mapped[str | None]
    verdict: Mapped[str]
    report: Mapped[dict[str, Any]]
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (Index("ix_comparisons_store_candidate", "store_id", "candidate"),)


class GoldenSetRow(Base):
    """One version of a store's golden set of that name, as JSON lines; `number` counts from 1."""

    __tablename__ = "golden_sets"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"))
    name: Mapped[str]
    number: Mapped[int]
    sha256: Mapped[str]
    queries: Mapped[int]
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (UniqueConstraint("store_id", "name", "number"),)


class RecordedQuery(Base):
    """A question that was asked of a store, kept to compare versions by; the newest few hundred are kept."""

    __tablename__ = "recorded_queries"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(default=time.time)


class TrialRow(Base):
    """One live query that a candidate ran beside the live version (`shadow`) or answered in its place (`canary`).

    Rankings are of revisions, the first ten; times are those of the search in the index, in milliseconds.
    """

    __tablename__ = "trials"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("index_versions.id", ondelete="CASCADE"), index=True)
    baseline: Mapped[str]
    kind: Mapped[str]
    baseline_ranking: Mapped[list[Any]]
    baseline_ms: Mapped[float | None]
    candidate_ranking: Mapped[list[Any]]
    candidate_ms: Mapped[float]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Snapshot(Base):
    """A named point in time of a store. Superseded revisions that one names are kept as long as it is there."""

    __tablename__ = "snapshots"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"))
    name: Mapped[str]
    live_version: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (UniqueConstraint("store_id", "name"),)


class SnapshotRevision(Base):
    """What a snapshot is made of. Key and hash stay when the revision itself is deleted for good."""

    __tablename__ = "snapshot_revisions"
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    revision_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    key: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str]
