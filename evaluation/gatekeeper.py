"""Lets a version become live only on numbers: compares it with the live one, keeps the report, promotes or refuses."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from evaluation.comparing import Comparer, Question
from evaluation.gate import assess
from evaluation.golden import GoldenQuery, GoldenSet
from evaluation.report import Verdict
from evaluation.thresholds import Thresholds
from indexes.catalog import chunks, comparisons, idempotency, observed, promotion, revisions, stores, versions
from indexes.catalog.database import Database
from indexes.catalog.history import Because
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.tables import IndexVersion, VersionState
from indexes.catalog.version_tables import Comparison, GoldenSetRow
from indexes.errors import GateFailed, InvalidRequest

_MOST_RECORDED = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """By what to compare: the newest golden set unless one is named, and `queries` or the recorded ones, unjudged."""

    golden_set: str | None = None
    queries: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Compares and promotes for one process."""

    database: Database
    comparer: Comparer

    async def compare(
        self,
        project: str,
        store_id: str,
        baseline_id: str | None,
        candidate_id: str,
        asked: Asked,
        request: Idempotency | None = None,
    ) -> Comparison:
        """A report of two searchable versions, which is kept. Without a baseline: the live one.

        Raises NotFound for what there is not, and Conflict for a version that is not whole.
        """
        async with self.database.read() as session:
            store = await stores.get(session, project, store_id)
            known = await idempotency.earlier(session, project, request)
            if known is not None:
                return await comparisons.get(session, store_id, known)
            baseline = await versions.searchable(session, store_id, baseline_id or store.live_version)
            candidate = await versions.searchable(session, store_id, candidate_id)
            golden = (
                await comparisons.golden(session, store_id, asked.golden_set)
                if asked.golden_set
                else await comparisons.newest_golden(session, store_id)
            )
            texts = asked.queries or await observed.queries(session, store_id, _MOST_RECORDED)
        judged = await self._judged(store_id, golden)
        questions = _questions(judged, texts)
        evidence = await self.comparer.evidence(project, baseline, candidate, questions)
        thresholds = Thresholds(**store.gate)
        report = await asyncio.to_thread(assess, evidence, thresholds)
        trials = await self.comparer.trials(baseline, candidate)
        async with self.database.write() as session:
            kept = await comparisons.put(
                session,
                store_id,
                baseline.id,
                candidate.id,
                golden_set_id=golden.id if golden else None,
                verdict=report.verdict.value,
                report={**report.to_json(), "trials": asdict(trials), "thresholds": thresholds.model_dump()},
            )
            idempotency.remember(session, project, request, kept.id)
            return kept

    async def _judged(self, store_id: str, golden: GoldenSetRow | None) -> list[GoldenQuery]:
        """Its queries, with what is relevant and still there: what no search can find would make all versions equal."""
        if golden is None:
            return []
        queries = (await asyncio.to_thread(GoldenSet.read, golden.content.encode())).queries
        named = {key for query in queries for key in query.keys}, {chunk for query in queries for chunk in query.chunks}
        async with self.database.read() as session:
            keys = await revisions.current_keys(session, store_id, named[0])
            held = await chunks.current(session, store_id, named[1])
        return [query.known(keys, held) for query in queries]

    async def promote(
        self, project: str, store_id: str, version_id: str, because: Because, *, force: bool = False
    ) -> IndexVersion:
        """Make a version live, on a report that lets it pass, or by `force` with a reason.

        Raises GateFailed with the report, InvalidRequest for force without a reason, and what `compare` raises.
        """
        if force and not (because.reason or "").strip():
            raise InvalidRequest("A promotion by force needs a reason, which is kept in the history.", param="reason")
        async with self.database.read() as session:
            live = (await stores.get(session, project, store_id)).live_version
            version = await versions.searchable(session, store_id, version_id)
        if version.state == VersionState.LIVE:
            return version
        report = await self._newest_report(project, store_id, live, version_id, measure=not force)
        if not force and report is not None and report.verdict != Verdict.PASSED:
            raise GateFailed(_refusal(report), report={"id": report.id, **report.report})
        await self.comparer.ranker.warm(versions.opened_as(version))
        async with self.database.write() as session:
            return await promotion.promote(
                session,
                store_id,
                version_id,
                because,
                instead_of=live,
                forced=force,
                comparison_id=report.id if report else None,
            )

    async def _newest_report(
        self, project: str, store_id: str, live: str, version_id: str, *, measure: bool
    ) -> Comparison | None:
        """The last report of these two; a new one where that is by another golden set, or by other thresholds."""
        async with self.database.read() as session:
            report = await comparisons.latest(session, store_id, live, version_id)
            golden = await comparisons.newest_golden(session, store_id)
            thresholds = Thresholds(**(await stores.get(session, project, store_id)).gate)
        outdated = report is not None and (
            report.report.get("thresholds") != thresholds.model_dump()
            or (golden is not None and golden.id != report.golden_set_id)
        )
        if (report is None or outdated) and measure:
            return await self.compare(project, store_id, live, version_id, Asked())
        return report


def _questions(judged: Sequence[GoldenQuery], texts: Sequence[str]) -> list[Question]:
    known = {one.text for one in judged}
    recorded = (text for text in dict.fromkeys(texts) if text not in known)
    return [
        *(Question(one.id, one.text, one) for one in judged),
        *(Question(f"recorded-{number}", text) for number, text in zip(itertools.count(1), recorded)),
    ]


def _refusal(report: Comparison) -> str:
    reasons = " ".join(report.report["reasons"])
    return (
        f"The quality gate does not let this index version pass ({report.verdict}). {reasons} "
        "Promote it with `force` and a `reason` if you know better."
    )
