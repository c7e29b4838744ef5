"""The tables, as typed rows. Times are seconds since 1970 (UTC). `seq` orders rows by creation and pages lists."""

import time
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Enum, Float, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from indexes.model import AttributeValue


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can change them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        float: Float(53),
        dict[str, Any]: JSON,
        list[Any]: JSON,
        dict[str, AttributeValue]: JSON,
        # Plain text rather than the database's own enum type, which could not be changed inside a transaction.
        StrEnum: Enum(
            StrEnum, native_enum=False, length=16, values_callable=lambda kind: [item.value for item in kind]
        ),
    }


class RevisionState(StrEnum):
    """What a revision is to readers. Only `current` is ever seen by a search."""

    PENDING = "pending"
    CURRENT = "current"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    DELETED = "deleted"


class Stage(StrEnum):
    """How far the work on a revision has come."""

    RECEIVED = "received"
    PARSED = "parsed"
    CHUNKED = "chunked"
    EMBEDDED = "embedded"
    INDEXED = "indexed"
    VERIFIED = "verified"


class VersionState(StrEnum):
    """What an index version is to its store."""

    BUILDING = "building"
    READY = "ready"
    LIVE = "live"
    RETIRED = "retired"
    FAILED = "failed"
    DELETED = "deleted"


class Role(StrEnum):
    """What an API key may do; each includes the ones before."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class ApiKey(Base):
    """A key's SHA-256, never the key: keys are random, so a plain hash cannot be guessed from."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role]
    created_at: Mapped[float] = mapped_column(default=time.time)
    revoked_at: Mapped[float | None]


class File(Base):
    """Uploaded bytes. `deleting` hides the file until everything made from it is gone."""

    __tablename__ = "files"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str] = mapped_column(index=True)
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    filename: Mapped[str]
    purpose: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)
    expires_at: Mapped[float | None] = mapped_column(index=True)
    deleting: Mapped[bool] = mapped_column(default=False, index=True)


class Store(Base):
    """A knowledge base. `deleting` hides it until its versions and rows are gone."""

    __tablename__ = "stores"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    description: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[float] = mapped_column(default=time.time)
    last_active_at: Mapped[float] = mapped_column(default=time.time)
    expires_after_days: Mapped[int | None]
    live_version: Mapped[str]
    gate: Mapped[dict[str, Any]] = mapped_column(default=dict)
    deleting: Mapped[bool] = mapped_column(default=False)


class IndexVersion(Base):
    """One manifest of one store, and what became of it.

    While it is built its lease says by whom, as with revisions; `embedded`, `reused` and `build_s` add up over all who
    build it. `shadow_share` and `canary_share` are parts of the live queries, 0..1. `inventory_hash` is what was found
    in it when it was last held against the catalog. `recall` is the mean of the newest approximate searches that were
    done again exactly, and `recall_samples` how many there were in all. `erased` is set once nothing of a deleted one
    is left. `restoring_since` is when points were found to be lost, until all are back; while it is `damaged`, what is
    left of them still has to be erased.
    """

    __tablename__ = "index_versions"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"), index=True)
    state: Mapped[VersionState]
    manifest: Mapped[dict[str, Any]]
    manifest_hash: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)
    ready_at: Mapped[float | None]
    promoted_at: Mapped[float | None]
    retired_at: Mapped[float | None]
    deleted_at: Mapped[float | None]
    erased: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None]
    paused: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[float] = mapped_column(default=0.0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float] = mapped_column(default=0.0)
    fence: Mapped[int] = mapped_column(default=0)
    embedded: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    build_s: Mapped[float] = mapped_column(default=0.0)
    inventory_hash: Mapped[str | None]
    shadow_share: Mapped[float] = mapped_column(default=0.0)
    canary_share: Mapped[float] = mapped_column(default=0.0)
    recall: Mapped[float] = mapped_column(default=0.0)
    recall_samples: Mapped[int] = mapped_column(default=0)
    damaged: Mapped[bool] = mapped_column(default=False)
    restoring_since: Mapped[float | None]


class Batch(Base):
    """Files attached together. Its counts are those of its revisions."""

    __tablename__ = "batches"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[float] = mapped_column(default=time.time)
    cancelled_at: Mapped[float | None]


class Revision(Base):
    """One file under one key at one time, and the work that makes it searchable.

    The work is owned by whoever holds the lease; `fence` grows with every claim, and every change made by a worker
    names the fence it holds, so that one who lost the lease changes nothing. `has_points` is set before the first
    point is written and cleared after the last is gone: searches hide every revision that has points and is not
    current. `attributes_synced` is false while an index may still hold older attributes. `started_at` is when a worker
    first claimed it. `parent_id` is the revision of the mail or archive that this one was taken out of.
    """

    __tablename__ = "revisions"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"))
    file_id: Mapped[str] = mapped_column(index=True)
    sha256: Mapped[str]
    filename: Mapped[str]
    key: Mapped[str]
    parent_id: Mapped[str | None] = mapped_column(index=True)
    state: Mapped[RevisionState] = mapped_column(default=RevisionState.PENDING)
    stage: Mapped[Stage] = mapped_column(default=Stage.RECEIVED)
    attributes: Mapped[dict[str, AttributeValue]] = mapped_column(default=dict)
    attributes_synced: Mapped[bool] = mapped_column(default=True)
    max_tokens: Mapped[int | None]
    overlap_tokens: Mapped[int | None]
    parser: Mapped[str | None]
    text_blob: Mapped[str | None]
    title: Mapped[str | None]
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    usage_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    chunks_total: Mapped[int] = mapped_column(default=0)
    chunks_done: Mapped[int] = mapped_column(default=0)
    chunks_reused: Mapped[int] = mapped_column(default=0)
    has_points: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[float] = mapped_column(default=0.0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float] = mapped_column(default=0.0)
    fence: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(default=time.time)
    started_at: Mapped[float | None]
    updated_at: Mapped[float] = mapped_column(default=time.time, onupdate=time.time)

    __table_args__ = (
        Index("ix_revisions_store_state", "store_id", "state"),
        Index("ix_revisions_store_key", "store_id", "key"),
        Index("ix_revisions_store_file", "store_id", "file_id"),
        Index("ix_revisions_sha256", "sha256"),
        Index("ix_revisions_store_updated", "store_id", "updated_at"),  # what changed lately: events, measured speed
        # The three questions asked all the time touch only the few rows they are about.
        Index(
            "ix_revisions_work",
            "next_attempt_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_revisions_hidden",
            "store_id",
            sqlite_where=text("has_points = 1 AND state != 'current'"),  # as it is asked, or it is not used
            postgresql_where=text("has_points AND state != 'current'"),
        ),
        # What the reconciler asks every few seconds.
        Index("ix_revisions_state_points", "state", "has_points"),
        Index(
            "ix_revisions_unsynced",
            "seq",
            sqlite_where=text("attributes_synced = 0"),
            postgresql_where=text("NOT attributes_synced"),
        ),
        Index(
            "uq_revisions_current",
            "store_id",
            "key",
            unique=True,
            sqlite_where=text("state = 'current'"),
            postgresql_where=text("state = 'current'"),
        ),
    )


class BatchRevision(Base):
    """Which revisions a batch is made of; one may be in several, if the same bytes were sent again."""

    __tablename__ = "batch_revisions"
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    revision_id: Mapped[str] = mapped_column(
        ForeignKey("revisions.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ChunkRow(Base):
    """One chunk of one revision, with its text: what hits are hydrated from and read-backs are held against.

    `cut` says by what rule it was cut (`Manifest.cut`): versions of the same rule share their chunks. `orders` is that
    of `Chunk`, null for chunks of before it was looked for.
    """

    __tablename__ = "chunks"
    id: Mapped[str] = mapped_column(primary_key=True)
    revision_id: Mapped[str] = mapped_column(ForeignKey("revisions.id", ondelete="CASCADE"))
    cut: Mapped[str]
    ordinal: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]
    tokens: Mapped[int]
    page_start: Mapped[int | None]
    page_end: Mapped[int | None]
    section: Mapped[list[Any]]
    sha256: Mapped[str] = mapped_column(index=True)
    text: Mapped[str] = mapped_column(Text)
    orders: Mapped[float | None]

    __table_args__ = (UniqueConstraint("revision_id", "cut", "ordinal"),)


class IdempotencyKey(Base):
    """What a request with an Idempotency-Key has made, committed together with the thing itself."""

    __tablename__ = "idempotency_keys"
    project: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    resource_id: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)
