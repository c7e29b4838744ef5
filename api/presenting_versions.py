"""What the catalog knows of index versions, as objects of the wire."""

import orjson

from api.presenting import seconds
from api.wire.comparisons import ComparisonSummary, VersionComparison
from api.wire.golden_sets import GoldenSet, GoldenSetSummary
from api.wire.index_versions import (
    BuildProgress,
    IndexVersion,
    IndexVersionCounts,
    IndexVersionPlan,
    ObservedRecall,
    VersionEvent,
)
from api.wire.snapshots import Snapshot
from api.wire.vector_store_files import DocumentProblem
from indexes.catalog import tables, version_tables
from indexes.catalog.holdings import Held
from indexes.catalog.snapshots import Contents
from indexes.catalog.stores import Chunks
from indexes.catalog.tables import VersionState
from ingestion.reindex import Plan


def index_version(row: tables.IndexVersion, held: Held, of_store: Chunks, build_share: float) -> IndexVersion:
    """An index version with what it holds; `of_store` are the chunks that readers see."""
    # The version that a store begins with was never built: what was embedded for it, was by the files themselves.
    built = row.ready_at is not None or row.promoted_at is None
    embedded, reused = (row.embedded, row.reused) if built else (of_store.total - of_store.reused, of_store.reused)
    return IndexVersion(
        id=row.id,
        vector_store_id=row.store_id,
        status=row.state.value,
        paused=row.paused,
        restoring=row.restoring_since is not None,
        manifest=row.manifest,
        manifest_hash=row.manifest_hash,
        counts=IndexVersionCounts(files=held.files, chunks=held.chunks, embedded=embedded, reused=reused),
        progress=BuildProgress(done=held.files, total=held.wanted, eta_s=_eta_s(row, held, build_share)),
        shadow_share=row.shadow_share,
        canary_share=row.canary_share,
        observed_recall=_recall(row),
        inventory_hash=row.inventory_hash,
        created_at=int(row.created_at),
        ready_at=seconds(row.ready_at),
        promoted_at=seconds(row.promoted_at),
        retired_at=seconds(row.retired_at),
        error=_problem(row),
    )


def _problem(row: tables.IndexVersion) -> DocumentProblem | None:
    if not row.error:
        return None
    return DocumentProblem(code="index_damaged" if row.restoring_since else "build_failed", message=row.error)


def _recall(row: tables.IndexVersion) -> ObservedRecall | None:
    return ObservedRecall(mean=row.recall, samples=row.recall_samples) if row.recall_samples else None


def plan(store_id: str, planned: Plan) -> IndexVersionPlan:
    """What a build would do."""
    return IndexVersionPlan(
        vector_store_id=store_id,
        manifest=planned.manifest.to_json(),
        manifest_hash=planned.manifest.hash,
        files=planned.files,
        chunks=planned.chunks,
        embedded=planned.embedded,
        reused=planned.reused,
        tokens=planned.tokens,
        bytes=planned.bytes,
        eta_s=round(planned.seconds, 1),
        cost=planned.cost,
        estimated=planned.estimated,
    )


def event(row: version_tables.VersionEvent) -> VersionEvent:
    """A line of the history."""
    return VersionEvent(
        id=row.id,
        vector_store_id=row.store_id,
        index_version=row.version_id,
        kind=row.kind.value,
        actor=row.actor,
        reason=row.reason,
        forced=row.forced,
        comparison_id=row.comparison_id,
        created_at=int(row.created_at),
    )


def comparison(row: version_tables.Comparison) -> VersionComparison:
    """A comparison with its report."""
    return VersionComparison.model_validate({**row.report, **dict(comparison_summary(row))})


def comparison_summary(row: version_tables.Comparison) -> ComparisonSummary:
    """A comparison without its report."""
    return ComparisonSummary.model_validate(
        {
            "id": row.id,
            "vector_store_id": row.store_id,
            "baseline": row.baseline,
            "candidate": row.candidate,
            "golden_set_id": row.golden_set_id,
            "verdict": row.verdict,
            "created_at": int(row.created_at),
        }
    )


def golden_set_summary(row: version_tables.GoldenSetRow) -> GoldenSetSummary:
    """A version of a golden set without its queries."""
    return GoldenSetSummary(
        id=row.id,
        vector_store_id=row.store_id,
        name=row.name,
        version=row.number,
        sha256=row.sha256,
        query_count=row.queries,
        created_at=int(row.created_at),
    )


def golden_set(row: version_tables.GoldenSetRow) -> GoldenSet:
    """A version of a golden set."""
    queries = [orjson.loads(line) for line in row.content.encode().splitlines()]
    return GoldenSet.model_validate({**dict(golden_set_summary(row)), "queries": queries})


def snapshot(row: version_tables.Snapshot, contents: Contents) -> Snapshot:
    """A snapshot with what it is made of."""
    return Snapshot(
        id=row.id,
        vector_store_id=row.store_id,
        name=row.name,
        index_version=row.live_version,
        documents=contents.documents,
        deleted_documents=contents.deleted,
        created_at=int(row.created_at),
    )


def _eta_s(row: tables.IndexVersion, held: Held, build_share: float) -> float | None:
    """By the chunks a second so far; a document that is left counts as one of the usual length."""
    done = row.embedded + row.reused
    building = row.state == VersionState.BUILDING and not row.paused
    if not (building or row.restoring_since) or not (done and held.files and row.build_s):
        return None
    chunks = (held.wanted - held.files) * held.chunks / held.files
    return round(chunks * row.build_s / done / (build_share if building else 1), 1)
