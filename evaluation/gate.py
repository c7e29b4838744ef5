"""The quality gate: may a candidate version answer instead of the live one? Pure functions.

`assess` takes some tenths of a second of CPU for hundreds of queries: run it beside the event loop.
"""

from collections.abc import Iterator, Sequence

from evaluation.changes import Change, change
from evaluation.checks import ann_line, latency_line, overlap_lines, quality_lines, score_lines, size_line
from evaluation.evidence import Evidence
from evaluation.report import Report
from evaluation.thresholds import Thresholds


def assess(evidence: Evidence, thresholds: Thresholds) -> Report:
    """Everything that was seen, judged. The same evidence gets the same report.

    Judged queries decide where there are enough of them. Else overlap does, over all queries: it is the weaker test.
    """
    changes = tuple(change(query, same_chunks=evidence.same_chunks) for query in evidence.queries)
    enough = sum(one.gain is not None for one in changes) >= thresholds.min_queries
    lines = (
        *quality_lines(changes, thresholds),
        *overlap_lines(evidence, changes, thresholds, judge=not enough),
        *score_lines(evidence.queries),
        ann_line(evidence, thresholds),
        latency_line(evidence, thresholds),
        size_line(evidence, thresholds),
    )
    return Report(lines, changes, tuple(_remarks(evidence, changes, thresholds)))


def _remarks(evidence: Evidence, changes: Sequence[Change], thresholds: Thresholds) -> Iterator[str]:
    judged = [one for one in changes if one.live and one.candidate]
    if len(judged) < thresholds.min_queries:
        yield (
            f"{len(judged)} queries are judged, and {thresholds.min_queries} are needed to tell better from worse. "
            "Overlap only shows whether the candidate finds noise: read some of the changed queries."
        )
    missed = sum(
        not (one.live and one.live.recall_10) and not (one.candidate and one.candidate.recall_10) for one in judged
    )
    if missed:
        yield f"In {missed} of {len(judged)} judged queries neither version finds anything relevant in its first ten."
    golden = [query.golden for query in evidence.queries if query.golden]
    stale = sum(not query.relevant for query in golden)
    if stale:
        yield (
            f"{stale} of {len(golden)} queries of the golden set name nothing relevant that this store has now, and "
            "tell nothing. Bring their keys and chunks up to date."
        )
    if len(golden) - stale > len(judged):
        yield (
            f"{len(golden) - stale - len(judged)} queries of the golden set name only chunks, and the two versions cut "
            "documents differently. Add the keys of their documents."
        )
