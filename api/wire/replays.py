"""Replays: a stored answer made again, as it was or with something else, and what came out differently."""

from typing import Literal

from pydantic import Field

from api.wire.base import Id, ReplyModel, RequestModel
from api.wire.citations import FileCitation
from generation.model import AbstainReason, Verdict


class ReplayRequest(RequestModel):
    """What to do otherwise; what is left out is as the answer was made."""

    prompt: Id | None = Field(None, description="A prompt: `name` for the version in force, or `name@version`.")
    model: Id | None = Field(None, description="An answerer of `/v1/models`, without a store.")
    index_version: Id | None = Field(None, description="An index version of the store, `ixv_…`.")


class ReplaySide(ReplyModel):
    """One of the two answers, with what made it."""

    model: str = Field(description="Who answered.")
    prompt_version: str | None = Field(
        description="The prompt, name and beginning of its hash; null where none is used."
    )
    index_versions: list[str] = Field(description="The index versions that found something.")
    text: str | None = Field(description="The answer; null where it was removed with a document.")
    abstained: bool | None
    abstain_reason: AbstainReason | None
    confidence: float | None
    verdicts: dict[Verdict, int] = Field(description="How many sentences have which verdict.")
    citations: int = Field(description="How many there are.")
    input_tokens: int
    output_tokens: int
    retrieve_ms: float = Field(description="How long the search took.")
    answer_ms: float = Field(description="How long the answer took after it.")


class ReplaySources(ReplyModel):
    """What became of the documents that the original answer was made from."""

    used: int = Field(description="How many there were.")
    current: int = Field(description="How many readers still see.")
    superseded: int = Field(description="How many have a newer revision, or were taken out of the store by a restore.")
    deleted: int = Field(description="How many are gone.")


class ReplayCitations(ReplyModel):
    """Citations of one answer that the other lacks, told by document and quote."""

    kept: int
    gained: list[FileCitation] = Field(description="In the replayed answer only.")
    lost: list[FileCitation] = Field(description="In the original answer only.")


class ReplayHits(ReplyModel):
    """Chunks that only one of the two searches found."""

    kept: int
    gained: list[str] = Field(description="Ids of chunks that only the replay found.")
    lost: list[str] = Field(description="Ids of chunks that only the original search found.")


class ResponseReplay(ReplyModel):
    """A stored answer and the same question answered again. The replay itself is not stored."""

    object: Literal["response.replay"] = "response.replay"
    response_id: str = Field(description="The stored response.")
    trace_id: str = Field(description="The trace of the replay.")
    same: bool | None = Field(
        description="Whether text and citations are the same; null where the original text was removed."
    )
    notes: list[str] = Field(description="What could not be as it was, in sentences.")
    sources: ReplaySources
    original: ReplaySide
    replayed: ReplaySide
    diff: str | None = Field(
        description="Unified, a sentence a line; empty where the texts are equal, null where the original was removed."
    )
    citations: ReplayCitations | None = Field(description="Null where the original text was removed.")
    hits: ReplayHits
