"""The tables of prompts: names, their immutable texts, and which text was put in force where, by whom and why."""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from indexes.catalog.tables import Base


class Prompt(Base):
    """A name of a project's prompts, and the test cases that its texts must pass before they go live."""

    __tablename__ = "prompts"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str]
    name: Mapped[str]
    tests: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (UniqueConstraint("project", "name"),)


class PromptText(Base):
    """One version of a prompt; it never changes. `number` counts from 1."""

    __tablename__ = "prompt_versions"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    number: Mapped[int]
    sha256: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    actor: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (UniqueConstraint("prompt_id", "number"), UniqueConstraint("prompt_id", "sha256"))


class ChangeKind(StrEnum):
    """How a version came to be in force."""

    LIVE = "live"
    ROLLED_BACK = "rolled_back"


class PromptChange(Base):
    """Which version is in force from here on: in one store, or where `store_id` is null in the whole project.

    The newest change of a place says what is in force there. `version_id` is null where the place has none of its own
    any more. `before_id` is the change that a rollback goes back to.
    """

    __tablename__ = "prompt_changes"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    store_id: Mapped[str | None] = mapped_column(ForeignKey("stores.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[str | None]
    before_id: Mapped[str | None]
    kind: Mapped[ChangeKind]
    actor: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    forced: Mapped[bool] = mapped_column(default=False)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (Index("ix_prompt_changes_prompt_store", "prompt_id", "store_id"),)
