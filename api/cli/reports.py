"""Reports of two index versions as people read them."""

from collections.abc import Sequence

from api.cli.output import console, print_table
from api.wire.comparisons import QueryChange, Report, ReportLine


def print_report(report: Report, limit: int) -> None:
    """Every measure, then the verdict with its reasons, then the queries that changed most, so many of each kind."""
    print_table(
        ["measure", "queries", "live", "candidate", "estimate", "interval", "limit", "verdict"],
        (
            [
                line.measure,
                line.queries,
                _figure(line.live),
                _figure(line.candidate),
                _figure(line.estimate),
                _interval(line),
                _figure(line.limit),
                line.verdict,
            ]
            for line in report.lines
        ),
    )
    trials = report.trials
    if trials.shadows or trials.canaries:
        console.print(
            f"Live traffic: {trials.shadows} queries in the shadow (mean overlap {_figure(trials.mean_overlap)}), "
            f"{trials.canaries} answered."
        )
    console.print(f"Verdict: {report.verdict}.", style="bold")
    for sentence in (*report.reasons, *report.remarks):
        console.print(f"- {sentence}", markup=False)
    _print_judged("Worse", report.worse, limit)
    _print_judged("Better", report.better, limit)
    if not (report.worse or report.better):
        _print_unjudged(report.unjudged, limit)


def _print_judged(title: str, changes: Sequence[QueryChange], limit: int) -> None:
    if not changes[:limit]:
        return
    console.print(f"{title} (nDCG@10 of {len(changes)} queries):", style="bold")
    print_table(
        ["live", "candidate", "id", "query"],
        (
            [
                _figure(one.live.ndcg_10 if one.live else None),
                _figure(one.candidate.ndcg_10 if one.candidate else None),
                one.id,
                one.query,
            ]
            for one in changes[:limit]
        ),
    )


def _print_unjudged(changes: Sequence[QueryChange], limit: int) -> None:
    if not changes[:limit]:
        return
    console.print(f"Most changed of {len(changes)} queries of which nothing is known:", style="bold")
    print_table(
        ["agreement", "id", "query"],
        ([_figure(one.rank_biased_overlap), one.id, one.query] for one in changes[:limit]),
    )


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _interval(line: ReportLine) -> str | None:
    return None if line.low is None or line.high is None else f"{_figure(line.low)} to {_figure(line.high)}"
