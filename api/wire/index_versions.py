"""Index versions, one manifest each and the points built by it: what may be asked for, planned and seen of them."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from api.wire.base import STORABLE, Id, Listed, ReplyModel, RequestModel, Text
from api.wire.chunking import ChunkingStrategyIn
from api.wire.vector_store_files import DocumentProblem
from indexes.manifest import AnnSpec, LexicalSpec

Share = Annotated[float, Field(ge=0, le=1)]


class Reasoned(RequestModel):
    """Why something is done."""

    reason: Annotated[str, Field(max_length=2048), STORABLE] | None = Field(
        None, description="Why; kept in the history."
    )


UNSAID = Reasoned()  # of requests that came without a body


class LexicalChange(RequestModel):
    """How words are compared; what is left out stays as in the live version."""

    language: Text | None = Field(
        None,
        description="Language of stop words and stemming: `english`, `english+german`; `none` for any.",
    )
    analysis: Literal["words-2"] | None = Field(
        None, description="How text becomes terms: `words-2` keeps identifiers whole, and takes several languages."
    )
    k: float | None = Field(None, ge=0, le=10, description="BM25: how fast repeated words stop counting.")
    b: float | None = Field(None, ge=0, le=1, description="BM25: how much long chunks are marked down.")

    def applied_to(self, live: LexicalSpec) -> LexicalSpec:
        """The whole specification."""
        return replace(live, **self.model_dump(exclude_none=True))


class AnnChange(RequestModel):
    """The graph of the approximate search; what is left out stays as in the live version."""

    m: int | None = Field(None, ge=4, le=128, description="Links of each point: more find more, and take more memory.")
    ef_construct: int | None = Field(
        None, ge=16, le=2000, description="Neighbours looked at while it is built: more find more, and take longer."
    )

    def applied_to(self, live: AnnSpec) -> AnnSpec:
        """The whole specification."""
        return replace(live, **self.model_dump(exclude_none=True))


class IndexVersionCreate(Reasoned):
    """A new version to build beside the live one; what is left out is taken from that one."""

    embedding_model: Id | None = Field(None, description="Name of a model of `/v1/models`.")
    chunking_strategy: ChunkingStrategyIn | None = Field(
        None, description="How texts are cut. Left out: into the chunks of the live version, if the model reads them."
    )
    lexical: LexicalChange | None = None
    ann: AnnChange | None = None
    context: Literal["headings-1", "none"] | None = Field(
        None,
        description="What is embedded before the text of a chunk: the headings above it, or nothing.",
    )
    dry_run: bool = Field(False, description="Answer with what the build would do, and build nothing.")


class IndexVersionUpdate(Reasoned):
    """The part of live queries that a ready version takes; what is left out stays."""

    shadow_share: Share | None = Field(
        None, description="Share of live queries, 0..1, that it runs too, after they are answered."
    )
    canary_share: Share | None = Field(
        None, description="Share of live queries, 0..1, that it answers: always those of the same sessions."
    )


class PromoteRequest(Reasoned):
    """Make a version the live one, if the quality gate lets it."""

    force: bool = Field(False, description="Promote against the gate; needs a `reason`.")


class IndexVersionPlan(ReplyModel):
    """What a build would do; nothing is begun."""

    object: Literal["vector_store.index_version.plan"] = "vector_store.index_version.plan"
    vector_store_id: str = Field(description="The store.")
    manifest: dict[str, Any] = Field(description="Everything that would decide which points it holds.")
    manifest_hash: str = Field(description="SHA-256 of the manifest.")
    files: int = Field(description="Documents to bring into it.")
    chunks: int = Field(description="Chunks it would hold.")
    embedded: int = Field(description="Chunks that the model would have to read.")
    reused: int = Field(description="Chunks whose vectors are there already.")
    tokens: int = Field(description="Tokens that the model would have to read.")
    bytes: int = Field(description="About what it would take in the index.")
    eta_s: float = Field(description="About how many seconds one worker would need, from a sample that was embedded.")
    cost: float = Field(description="Of the tokens, in the currency of the setting `embedding.prices`.")
    estimated: bool = Field(description="Whether chunks, tokens and bytes are estimates: the texts would be cut anew.")


class IndexVersionCounts(ReplyModel):
    """What the version holds, and what that has cost."""

    files: int = Field(0, description="Documents that were read back whole.")
    chunks: int = Field(0, description="Their chunks.")
    embedded: int = Field(0, description="Chunks that the model read when it was built.")
    reused: int = Field(0, description="Chunks whose vectors were there already when it was built.")


class BuildProgress(ReplyModel):
    """How far a build is, in files."""

    done: int
    total: int
    eta_s: float | None = Field(None, description="Seconds until it is ready, by its speed so far; null where unknown.")


class ObservedRecall(ReplyModel):
    """How exact its approximate searches are in use: a sample of them was done again exactly."""

    mean: float = Field(description="Mean share of the ten nearest chunks that were found, of about the newest 200.")
    samples: int = Field(description="Searches in the sample, in all.")


class IndexVersion(Listed):
    """One version of a store's index; exactly one is live."""

    id: str = Field(description="Identifier, `ixv_…`.")
    object: Literal["vector_store.index_version"] = "vector_store.index_version"
    vector_store_id: str = Field(description="The store.")
    status: Literal["building", "ready", "live", "retired", "failed", "deleted"] = Field(description="Its state.")
    paused: bool = Field(False, description="Whether its build waits to be resumed.")
    manifest: dict[str, Any] = Field(description="Everything that decides which points it holds.")
    manifest_hash: str = Field(description="SHA-256 of the manifest.")
    counts: IndexVersionCounts = Field(description="What it holds.")
    restoring: bool = Field(False, description="Whether points that were lost are being made again.")
    progress: BuildProgress = Field(description="How far the build is, or the restoring.")
    shadow_share: float = Field(0.0, description="Share of live queries that it runs too, 0..1.")
    canary_share: float = Field(0.0, description="Share of live queries that it answers, 0..1.")
    observed_recall: ObservedRecall | None = Field(None, description="Null until a search was done again exactly.")
    inventory_hash: str | None = Field(
        None, description="SHA-256 of which documents and how many chunks it held when it became ready."
    )
    created_at: int = Field(description="When it was created, Unix seconds.")
    ready_at: int | None = Field(None, description="When its build ended, Unix seconds.")
    promoted_at: int | None = Field(None, description="When it last became live, Unix seconds.")
    retired_at: int | None = Field(
        None, description="When another one became live in its place, Unix seconds; its retention counts from here."
    )
    error: DocumentProblem | None = Field(None, description="Why its build failed, or what it waits for.")


class VersionEvent(Listed):
    """One line of a store's history."""

    id: str = Field(description="Identifier, `ixe_…`.")
    object: Literal["vector_store.index_version.event"] = "vector_store.index_version.event"
    vector_store_id: str = Field(description="The store.")
    index_version: str = Field(description="The version it happened to; for `restored`, the live one.")
    kind: Literal[
        "created",
        "paused",
        "resumed",
        "ready",
        "failed",
        "promoted",
        "rolled_back",
        "traffic",
        "restored",
        "deleted",
        "damaged",
        "repaired",
    ] = Field(description="What happened.")
    actor: str = Field(description="Name and id of the API key that asked for it; `citewell`: nobody asked.")
    reason: str | None = Field(description="Why, as it was given.")
    forced: bool = Field(description="Whether it was promoted against the quality gate.")
    comparison_id: str | None = Field(description="The report that it was promoted on, `cmp_…`.")
    created_at: int = Field(description="When, Unix seconds.")
