"""The lines of a report: each one measure over all queries, and what it says of a candidate. Pure functions."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isfinite
from operator import attrgetter
from statistics import fmean

import numpy as np

from evaluation.bootstrap import Interval, mean_interval, quantile_ratio_interval
from evaluation.changes import Change, K
from evaluation.evidence import Comparison, Evidence
from evaluation.golden import MAX_QUERIES
from evaluation.rankings import score_shift
from evaluation.report import Line, Verdict
from evaluation.thresholds import Thresholds

_LEAST_MS = 1e-3  # finer than a search can be timed; a ratio needs something above 0
_SUSPECTS = "Check the model's weights, prefixes, pooling and token limit"


def quality_lines(changes: Sequence[Change], thresholds: Thresholds) -> list[Line]:
    """What judged queries won or lost; no line where none is judged."""
    pairs = [(one.live, one.candidate) for one in changes if one.live and one.candidate]
    if not pairs:
        return []

    def differences(measure: str) -> tuple[Line, Interval]:
        live, candidate = ([attrgetter(measure)(one) for one in side] for side in zip(*pairs, strict=True))
        interval = mean_interval(np.subtract(candidate, live).tolist(), thresholds.confidence)
        line = _line(measure, interval, live=fmean(live), candidate=fmean(candidate))
        return replace(line, probability_of_loss=interval.below_zero), interval

    return [
        _judged_search(*differences("ndcg_10"), thresholds),
        _judged_embeddings(*differences("dense_ndcg_10"), thresholds),
        differences("recall_10")[0],
        differences("reciprocal_rank_10")[0],
    ]


def overlap_lines(evidence: Evidence, changes: Sequence[Change], thresholds: Thresholds, *, judge: bool) -> list[Line]:
    """How much of what the live version finds the candidate finds too, above what chance gives.

    Two draws of ten from N things share 10/N of them: o becomes (o - 10/N) / (1 - 10/N), so that 0 is chance in small
    stores too. N is how many things all searches found, which is no more than there are.
    """
    found = _things_found(evidence)
    if len(changes) < thresholds.min_queries or found <= K:
        return [_too_few(len(changes), found, thresholds)] if judge else []
    chance = K / found
    lines = []
    for measure in ("dense_overlap_10", "overlap_10"):
        values = [(attrgetter(measure)(one) - chance) / (1 - chance) for one in changes]
        interval = mean_interval(values, thresholds.confidence)
        line = _line(measure, interval)
        lines.append(_judged_overlap(line, interval, thresholds) if judge else line)
    agreement = mean_interval([one.rank_biased_overlap for one in changes], thresholds.confidence)
    return [*lines, _line("rank_biased_overlap", agreement)]


def score_lines(queries: Sequence[Comparison]) -> list[Line]:
    """How the scores of the embedding search moved: shown, for scores of two models are on two scales."""
    shift = score_shift([one.live.dense_scores() for one in queries], [one.candidate.dense_scores() for one in queries])
    if shift is None:
        return []
    spread = shift.candidate_spread - shift.live_spread
    return [
        Line("dense_top_score", shift.queries, shift.live_top, shift.candidate_top, shift.shift),
        Line("dense_score_spread", shift.queries, shift.live_spread, shift.candidate_spread, spread),
    ]


def ann_line(evidence: Evidence, thresholds: Thresholds) -> Line:
    """Recall of the candidate's approximate search against its own exact one."""
    least = thresholds.min_ann_recall
    if not evidence.ann_recall:
        return _unmeasured("ann_recall_10", least, "The recall of the candidate's approximate search")
    interval = mean_interval(evidence.ann_recall, thresholds.confidence)
    reason = (
        f"The candidate's approximate search finds {interval.estimate:.3f} of the exact ten nearest chunks, and "
        f"{least:g} is the least. Build it again with a higher `m` or `ef_construct`: no text is embedded again."
    )
    line = replace(_line("ann_recall_10", interval), candidate=interval.estimate)
    return _decided(line, least, Verdict.PASSED if interval.estimate >= least else Verdict.FAILED, reason)


def latency_line(evidence: Evidence, thresholds: Thresholds) -> Line:
    """The 95th percentiles of the two versions' search times."""
    most, welcome = thresholds.max_p95_ratio, thresholds.unnoticed_p95_ms
    if not evidence.queries:
        return _unmeasured("p95_latency_ratio", most, "How long searches take")
    live = [max(_LEAST_MS, one.live.latency_ms) for one in evidence.queries]
    candidate = [max(_LEAST_MS, one.candidate.latency_ms) for one in evidence.queries]
    before, after = float(np.quantile(live, 0.95)), float(np.quantile(candidate, 0.95))
    interval = quantile_ratio_interval(live, candidate, 0.95, thresholds.confidence)
    line = _line("p95_latency_ratio", interval, live=before, candidate=after)
    seen = f"The 95th percentile of search time goes from {before:.1f} to {after:.1f} ms, {interval.estimate:.2f} times"
    if after <= welcome or interval.estimate <= most:
        return _decided(line, most, Verdict.PASSED, "")
    if interval.low <= most:
        more = f"{seen}, which {len(live)} queries are too few to tell from {most:g} times. Compare on more queries."
        return _decided(line, most, Verdict.INSUFFICIENT, more)
    slow = f"{seen}, and {most:g} is the most past {welcome:g} ms. Use a smaller model or graph, or raise the limit."
    return _decided(line, most, Verdict.FAILED, slow)


def size_line(evidence: Evidence, thresholds: Thresholds) -> Line:
    """The bytes of the two versions."""
    live, candidate, most = evidence.live_bytes, evidence.candidate_bytes, thresholds.max_size_ratio
    if not live or candidate is None:
        return _unmeasured("size_ratio", most, "The size of the two versions")
    ratio = candidate / live
    reason = (
        f"The candidate takes {candidate:,} bytes, {ratio:.1f} times those of the live version, and {most:g} is the "
        "most. Use a model of fewer dimensions or larger chunks, or raise the limit."
    )
    line = Line("size_ratio", 0, live, candidate, ratio)
    return _decided(line, most, Verdict.PASSED if ratio <= most else Verdict.FAILED, reason)


def _judged_search(line: Line, interval: Interval, thresholds: Thresholds) -> Line:
    """Passes where a loss above the allowed one is unlikely; too few queries cannot pass it, but can fail."""
    allowed = thresholds.max_ndcg_loss
    seen = (
        f"nDCG@10 changes by {_range(interval)} on {interval.queries} judged queries; a loss of {allowed:g} is allowed"
    )
    lost = f"{seen}. Read the queries under `worse`. {_SUSPECTS}."
    if interval.queries < thresholds.min_queries:
        return _decided(line, -allowed, Verdict.FAILED if interval.high < -allowed else None, lost)
    if interval.low >= -allowed:
        return _decided(line, -allowed, Verdict.PASSED, "")
    if interval.estimate < -allowed:
        return _decided(line, -allowed, Verdict.FAILED, lost)
    return _decided(
        line, -allowed, Verdict.INSUFFICIENT, f"{seen}: too few to tell. {_more_queries(interval, -allowed)}"
    )


def _judged_embeddings(line: Line, interval: Interval, thresholds: Thresholds) -> Line:
    """Fails where the embeddings lost beyond doubt and more than is allowed. Their gain is not asked for."""
    allowed = thresholds.max_ndcg_loss
    reason = (
        f"nDCG@10 of the embedding search alone changes by {_range(interval)} on {interval.queries} judged queries; a "
        f"loss of {allowed:g} is allowed. The lexical search hides part of it. {_SUSPECTS}."
    )
    lost = interval.estimate < -allowed and interval.high < 0
    return _decided(line, -allowed, Verdict.FAILED if lost else Verdict.PASSED, reason)


def _judged_overlap(line: Line, interval: Interval, thresholds: Thresholds) -> Line:
    least = thresholds.min_overlap
    part = "the embedding search" if line.measure.startswith("dense") else "the search"
    seen = (
        f"Of the first ten of {part}, {_range(interval)} are what the live version finds, above what chance gives; "
        f"{least:g} is the least"
    )
    if interval.low >= least:
        return _decided(line, least, Verdict.PASSED, "")
    if interval.estimate >= least:
        reason = f"{seen}. {interval.queries} queries are too few to tell: compare on more."
        return _decided(line, least, Verdict.INSUFFICIENT, reason)
    reason = (
        f"{seen}. So little is left by shuffled vectors, a wrong prefix or a cut model. {_SUSPECTS}, or show with a "
        f"golden set of {thresholds.min_queries} queries that the change is for the better."
    )
    return _decided(line, least, Verdict.FAILED, reason)


def _too_few(queries: int, found: int, thresholds: Thresholds) -> Line:
    if queries < thresholds.min_queries:
        why = (
            f"Only {queries} queries were compared; {thresholds.min_queries} is the least. Give queries that were asked"
        )
    else:
        why = f"All searches together found only {found} chunks or documents, so that any two versions agree"
    return _decided(
        Line("overlap_10", queries), thresholds.min_overlap, Verdict.INSUFFICIENT, f"{why}, or upload a golden set."
    )


def _unmeasured(measure: str, limit: float, what: str) -> Line:
    return _decided(
        Line(measure, 0), limit, Verdict.INSUFFICIENT, f"{what} was not measured. Measure it and compare again."
    )


def _line(measure: str, interval: Interval, *, live: float | None = None, candidate: float | None = None) -> Line:
    low, high = (end if isfinite(end) else None for end in (interval.low, interval.high))
    return Line(measure, interval.queries, live, candidate, interval.estimate, low, high)


def _decided(line: Line, limit: float, verdict: Verdict | None, reason: str) -> Line:
    said = reason if verdict in (Verdict.FAILED, Verdict.INSUFFICIENT) else None
    return replace(line, limit=limit, verdict=verdict, reason=said)


def _things_found(evidence: Evidence) -> int:
    """Distinct chunks, or documents where chunks cannot be compared, that any search of either version found."""
    sides = (side for query in evidence.queries for side in (query.live, query.candidate))
    return len({found.id(by_chunk=evidence.same_chunks) for side in sides for found in side.found})


def _range(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _more_queries(interval: Interval, limit: float) -> str:
    """The width of an interval falls with the root of the queries."""
    width, room = interval.estimate - interval.low, interval.estimate - limit
    needed = ceil(interval.queries * (width / room) ** 2) if room > 0 else MAX_QUERIES
    if needed >= MAX_QUERIES:
        return "The candidate is so near to the limit that more queries will hardly tell."
    return f"A golden set of about {needed} such queries would tell."
