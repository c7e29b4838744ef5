"""The gate: what it says of candidates that are broken, better, slower, larger, or not known well enough."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluation.evidence import Comparison, Evidence, Found, Results
from evaluation.gate import assess
from evaluation.golden import GoldenQuery
from evaluation.report import Report, Verdict
from evaluation.thresholds import Thresholds
from indexes.embedders.hashing import HashingEmbedder
from indexes.model import Scores, Vector

DEFAULTS = Thresholds()


def results(keys: Sequence[str], latency_ms: float = 5.0) -> Results:
    """Found in this order by the whole search and by its embeddings, one chunk a document."""
    scores = [Scores(fused=1 / rank, dense=1 / rank) for rank in range(1, len(keys) + 1)]
    return Results(tuple(Found(key, f"{key}#0", one) for key, one in zip(keys, scores, strict=True)), latency_ms)


def ranked(number: int, rank: int) -> Results:
    """The relevant document of query `number` at `rank`, 0 for nowhere, among others."""
    others = [f"other-{number}-{place}" for place in range(12)]
    return results([*others[: rank - 1], f"right-{number}", *others[rank - 1 :]] if rank else others)


def evidence(ranks: Sequence[tuple[int, int]], *, judged: bool = True) -> Evidence:
    """Queries with the rank of their relevant document in the live version and in the candidate."""
    queries = [
        Comparison(
            f"q{number}",
            f"question {number}",
            ranked(number, live),
            ranked(number, candidate),
            GoldenQuery(f"q{number}", f"question {number}", {f"right-{number}": 1.0}) if judged else None,
        )
        for number, (live, candidate) in enumerate(ranks)
    ]
    return Evidence(queries, [1.0] * len(queries), live_bytes=1_000, candidate_bytes=1_000, same_chunks=True)


def together(one: Evidence, other: Evidence) -> Evidence:
    return replace(one, queries=[*one.queries, *other.queries])


def verdicts(report: Report) -> dict[str, Verdict | None]:
    return {line.measure: line.verdict for line in report.lines}


# Real embeddings, with no weights: 120 texts of made-up words, and questions of a few of their words.


class World:
    """A corpus with a golden set."""

    def __init__(self) -> None:
        draw = random.Random(11)
        words = [f"{draw.choice('bdfgklmnprst')}{draw.choice('aeiou')}{number:x}" for number in range(900)]
        self.texts = [" ".join(draw.choices(words, k=40)) for _ in range(120)]
        self.questions = [" ".join(draw.sample(text.split(), 5) + draw.choices(words, k=3)) for text in self.texts[:60]]

    def search(self, documents: Vector, queries: Vector) -> list[Results]:
        """What the nearest 50 documents are."""
        return [self._found(row) for row in queries @ documents.T]

    def compare(self, live: list[Results], candidate: list[Results], *, judged: bool) -> Report:
        queries = [
            Comparison(f"q{n}", text, *found, GoldenQuery(f"q{n}", text, {f"doc-{n}": 1.0}) if judged else None)
            for n, (text, *found) in enumerate(zip(self.questions, live, candidate, strict=True))
        ]
        return assess(Evidence(queries, [1.0], 1, 1, same_chunks=True), DEFAULTS)

    def _found(self, row: Vector) -> Results:
        nearest = np.argsort(-row, kind="stable")[:50]
        scored = [(f"doc-{at}", Scores(fused=float(row[at]), dense=float(row[at]))) for at in nearest]
        return Results(tuple(Found(key, f"{key}#0", scores) for key, scores in scored), 1.0)


@pytest.mark.parametrize("judged", [True, False])
def test_broken_candidates_are_stopped_and_sound_ones_pass(judged: bool) -> None:
    world = World()
    questions = world.questions

    def version(model: HashingEmbedder, prefix: str = "") -> list[Results]:
        return world.search(
            model.embed_documents([prefix + text for text in world.texts]), model.embed_queries(questions)
        )

    usual = HashingEmbedder(256)
    live, documents = version(usual), usual.embed_documents(world.texts)
    shuffled = documents[np.random.default_rng(5).permutation(len(documents))]
    candidates = {
        "the same": live,
        "better": version(HashingEmbedder(2_048)),
        "shuffled": world.search(shuffled, usual.embed_queries(questions)),
        "wrong prefix": version(usual, "all rights reserved " * 90),
        "truncated": version(HashingEmbedder(256, max_tokens=3)),
    }
    said = {name: world.compare(live, found, judged=judged).verdict for name, found in candidates.items()}
    assert said == {
        "the same": Verdict.PASSED,
        "better": Verdict.PASSED,
        "shuffled": Verdict.FAILED,
        "wrong prefix": Verdict.FAILED,
        "truncated": Verdict.FAILED,
    }


def test_a_report_names_what_got_better_and_worse_by_size() -> None:
    report = assess(evidence([(1, 3), (1, 0), (2, 1), (5, 1), *[(1, 1)] * 20]), DEFAULTS)
    assert [one.id for one in report.worse] == ["q1", "q0"]
    assert [one.id for one in report.better] == ["q3", "q2"]
    assert report.worse[0].candidate is not None
    assert report.worse[0].candidate.recall_10 == 0.0
    assert len(report.changes) == 24


def test_too_few_judged_queries_leave_it_to_overlap_and_say_so() -> None:
    report = assess(evidence([(1, 1)] * 30, judged=False), DEFAULTS)
    assert report.verdict is Verdict.PASSED
    assert "0 queries are judged, and 20 are needed" in report.remarks[0]
    few = assess(together(evidence([(1, 1)] * 5), evidence([(1, 1)] * 25, judged=False)), DEFAULTS)
    assert few.verdict is Verdict.PASSED
    assert verdicts(few)["ndcg_10"] is None


def test_few_judged_queries_cannot_pass_a_candidate_but_can_stop_it() -> None:
    report = assess(together(evidence([(1, 0)] * 8), evidence([(1, 1)] * 30, judged=False)), DEFAULTS)
    assert report.verdict is Verdict.FAILED
    assert "8 judged queries" in report.reasons[0]


def test_queries_about_what_is_gone_tell_nothing_of_versions() -> None:
    """No search finds what is gone: such queries made a broken candidate as good as the live version."""

    def stale(one: Comparison) -> Comparison:
        assert one.golden is not None
        return replace(one, golden=one.golden.known(keys={"moved/right"}, chunks=()))

    broken = evidence([(1, 0)] * 40)
    for gone, verdict in ((38, Verdict.FAILED), (40, Verdict.FAILED)):
        queries = [stale(one) if number < gone else one for number, one in enumerate(broken.queries)]
        report = assess(replace(broken, queries=[replace(one, candidate=results("xyz")) for one in queries]), DEFAULTS)
        assert report.verdict is verdict
        assert sum(one.gain is not None for one in report.changes) == 40 - gone
        assert any(f"{gone} of 40 queries of the golden set name nothing" in remark for remark in report.remarks)


def test_what_cannot_be_told_is_insufficient_and_says_how_much_is_missing() -> None:
    report = assess(evidence([(1, 2), (2, 1), (1, 0), (0, 1)] * 6), DEFAULTS)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "too few to tell" in report.reasons[0]
    assert "A golden set of about" in report.reasons[0]
    nothing = assess(Evidence((), (), None, None, same_chunks=True), DEFAULTS)
    assert nothing.verdict is Verdict.INSUFFICIENT
    assert [reason.split(" ")[0] for reason in nothing.reasons] == ["Only", "The", "How", "The"]


def test_embeddings_that_lose_are_seen_behind_the_lexical_search() -> None:
    def by_words_alone(found: Found) -> Found:
        right = found.key.startswith("right")
        return replace(found, scores=found.scores._replace(dense=None, lexical=1.0)) if right else found

    def blinded(results: Results) -> Results:
        return replace(results, found=tuple(map(by_words_alone, results.found)))

    whole = evidence([(1, 1)] * 40)
    blind = [replace(one, candidate=blinded(one.candidate)) for one in whole.queries]
    report = assess(replace(whole, queries=blind), DEFAULTS)
    assert (verdicts(report)["ndcg_10"], verdicts(report)["dense_ndcg_10"]) == (Verdict.PASSED, Verdict.FAILED)
    assert "embedding search alone" in report.reasons[0]


def test_overlap_says_nothing_where_every_search_finds_everything() -> None:
    small = [Comparison(f"q{n}", "?", results("abcdef"), results("fedcba")) for n in range(40)]
    report = assess(Evidence(small, [1.0], 1, 1, same_chunks=True), DEFAULTS)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "found only 6" in report.reasons[0]


def test_overlap_in_a_small_store_counts_above_chance() -> None:
    draw = random.Random(2)
    things = [f"doc-{number}" for number in range(30)]  # two tens of thirty share a third by chance: above the limit

    def noise() -> Results:
        return results(draw.sample(things, 10))

    queries = [Comparison(f"q{number}", "?", noise(), noise()) for number in range(60)]
    report = assess(Evidence(queries, [1.0], 1, 1, same_chunks=True), DEFAULTS)
    line = next(line for line in report.lines if line.measure == "overlap_10")
    assert line.estimate is not None
    assert line.estimate == pytest.approx(0.0, abs=0.05)
    assert report.verdict is Verdict.FAILED


def test_chunk_judgements_hold_where_chunks_are_the_same_and_documents_elsewhere() -> None:
    def first_rank(keys: dict[str, float], *, same_chunks: bool) -> float | None:
        query = Comparison("q", "?", ranked(0, 1), ranked(0, 1), GoldenQuery("q", "?", keys, {"right-0#0": 1.0}))
        report = assess(Evidence([query], [1.0], 1, 1, same_chunks=same_chunks), DEFAULTS)
        live = report.changes[0].live
        assert (live is None) == ("1 queries of the golden set name only chunks" in report.remarks[-1])
        return live.reciprocal_rank_10 if live else None

    second = {"other-0-0": 1.0}
    assert first_rank(second, same_chunks=True) == 1.0
    assert first_rank(second, same_chunks=False) == 0.5
    assert first_rank({}, same_chunks=True) == 1.0
    assert first_rank({}, same_chunks=False) is None


def test_each_cost_has_its_own_limit() -> None:
    sound = evidence([(1, 1)] * 40)
    assert assess(sound, DEFAULTS).verdict is Verdict.PASSED

    def slowed(live_ms: float, candidate_ms: float) -> Evidence:
        one = Comparison(
            "q", "?", replace(ranked(0, 1), latency_ms=live_ms), replace(ranked(0, 1), latency_ms=candidate_ms)
        )
        return together(sound, replace(sound, queries=[one] * 40))

    assert assess(slowed(5, 90), DEFAULTS).verdict is Verdict.PASSED  # nobody notices
    assert assess(slowed(100, 149), DEFAULTS).verdict is Verdict.PASSED
    assert "from 100.0 to 200.0 ms" in assess(slowed(100, 200), DEFAULTS).reasons[0]
    assert "takes 5,000 bytes" in assess(replace(sound, candidate_bytes=5_000), DEFAULTS).reasons[0]
    assert "finds 0.900 of the exact ten" in assess(replace(sound, ann_recall=[0.9] * 40), DEFAULTS).reasons[0]


def test_a_report_is_plain_json() -> None:
    report = assess(evidence([(1, 2), (2, 1), *[(1, 1)] * 20]), DEFAULTS)
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["verdict"] == "passed"
    assert [one["id"] for one in data["worse"]] == ["q0"]
    assert data["lines"][0]["measure"] == "ndcg_10"
    assert data["lines"][0]["limit"] == -0.05
    json.dumps(assess(evidence([(1, 2)]), DEFAULTS).to_json(), allow_nan=False)  # one query: no ends of intervals


def test_thresholds_are_checked() -> None:
    assert Thresholds.model_validate_json(DEFAULTS.model_dump_json()) == DEFAULTS
    with pytest.raises(ValidationError):
        Thresholds(min_queries=1)


RANKS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=20, max_size=24)
ORDER = [Verdict.FAILED, Verdict.INSUFFICIENT, Verdict.PASSED]


@settings(deadline=None, max_examples=10)
@given(RANKS, st.data())
def test_a_better_candidate_never_gets_a_worse_verdict(ranks: list[tuple[int, int]], data: st.DataObject) -> None:
    places = data.draw(st.sets(st.integers(0, len(ranks) - 1)))
    better = [(live, 1 if place in places else candidate) for place, (live, candidate) in enumerate(ranks)]
    before, after = (assess(evidence(one), DEFAULTS).verdict for one in (ranks, better))
    assert ORDER.index(before) <= ORDER.index(after)


@settings(deadline=None, max_examples=10)
@given(RANKS, st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_laxer_limit_never_gives_a_worse_verdict(ranks: list[tuple[int, int]], one: float, other: float) -> None:
    seen = evidence(ranks)
    strict, lax = (assess(seen, Thresholds(max_ndcg_loss=limit)).verdict for limit in sorted((one, other)))
    assert ORDER.index(strict) <= ORDER.index(lax)
