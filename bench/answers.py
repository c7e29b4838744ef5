"""Everything that is claimed of answers, in one run: what they quote, when they abstain, what their verdicts are worth.

    python -m bench.answers --data ../shared/data

Of the fits in `generation/calibration.json` the half is reported that they have not seen. Extractive selection and the
rule for conflicts have no such half: they were made with all of these questions in view. Ends with status 1 if any
citation of any run has a quote or an offset that is not in its text (I10).
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import abstention, extractive, verification
from bench.calibrating import area, reliability
from bench.corpus import Corpus, MiniLm, read
from bench.recited import Reciter
from bench.report import print_heading, print_table
from evaluation.bootstrap import Interval, mean_interval
from generation.abstain import Calibration
from generation.extractive import ExtractiveAnswerer
from generation.model import AbstainReason, Answer, Answered, Answerer, Citation, Passage, Question
from generation.model import SupportPolicy as Policy
from generation.settings import GenerationSettings
from generation.support import AlignmentJudge
from generation.verified import VerifiedAnswerer
from generation.verify import Verifier
from indexes.model import Span

Row = tuple[str, float, float, float]

_MOVED = 1_000  # where a passage begins in its document, so that offsets in chunk and in document differ
_RECITED = 45  # answers of language models whose citations are checked
_DIGITS = re.compile(r"(?<![\d.,])\d{1,3}(?![\d.,]|\s*[-–])")


async def quoting(data: Path, model: MiniLm) -> tuple[list[Row], list[Citation]]:
    """What extractive answers quote."""
    found = await extractive.measure(data, model)
    table = [_row(f"{name} ({kind})", each) for kind, one in found.items() for name, each in extractive.rows(one)]
    return table, [citation for one in found.values() for each in one for citation in each.answer.citations]


async def abstaining(data: Path, model: MiniLm) -> list[Row]:
    """How confidence parts the questions of the held-out half, and what the default threshold makes of it."""
    groups = {kind: found[1::2] for kind, found in (await abstention.measure(data, model)).items()}
    calibration = Calibration.shipped()
    scores = {kind: np.array([calibration.confidence(one) for one in found]) for kind, found in groups.items()}
    table: list[Row] = []
    for kind in abstention.NEGATIVES:
        labels = np.repeat([1.0, 0.0], [len(scores["answered"]), len(scores[kind])])
        both = np.concatenate([scores["answered"], scores[kind]])
        table.append((f"AUROC, answered against {kind}", *area(labels, both)))
        print(f"reliability, answered and {kind}: {reliability(labels, both)}")
    settings = GenerationSettings()
    for name, least in (("default", settings.abstain_below), ("precision 0.9", calibration.threshold(0.9))):
        kept = {kind: (found >= least).astype(float) for kind, found in scores.items()}
        right, wrong = kept["answered"], kept["near"]
        given = np.concatenate([np.ones(int(right.sum())), np.zeros(int(wrong.sum()))])
        table.append(_row(f"answers given that should be, {name} ({least})", mean_interval(right.tolist())))
        table.append(_row(f"precision of answering, against near, {name}", mean_interval(given.tolist())))
        table += [
            _row(f"abstains on {kind}, {name}", mean_interval((1 - kept[kind]).tolist()))
            for kind in abstention.NEGATIVES
        ]
    return table


async def verifying(data: Path, model: MiniLm) -> list[Row]:
    """What verdicts are worth on the held-out half."""
    results = await verification.measure(data, model)
    verification.show(results)
    return [
        (f"AUROC, {each.kind} ({name})", *area(each.holds, each.scores))
        for name, one in results.items()
        for each in one
    ]


async def contradicting(data: Path, model: MiniLm) -> tuple[list[Row], list[Citation]]:
    """Passages with a copy whose numbers are others, and as they are: how often a conflict is told."""
    corpus = Corpus.load(data / "clapnq-dev" / "corpus.jsonl", model)
    answerer = ExtractiveAnswerer(GenerationSettings(abstain_below=0.0), model.embed)
    told: dict[str, list[float]] = {"number changed": [], "copy unchanged": [], "as found": []}
    citations: list[Citation] = []
    asked = [row for row in read(data / "clapnq-dev" / "qa.jsonl") if row["answerable"]]
    for row in asked:
        passages = corpus.passages(model.rows([row["question"]])[0], 4)
        before = await extractive.answered(answerer, row["question"], passages)
        told["as found"].append(float(before.abstain_reason is AbstainReason.CONFLICTING))
        first = next((one for one in passages if before.citations and one is before.citations[0].passage), None)
        if first is None or not _DIGITS.search(before.citations[0].quote):
            continue
        for kind, text in (("number changed", _renumbered(first)), ("copy unchanged", first.hit.chunk.text)):
            answer = await extractive.answered(
                answerer, row["question"], [*passages, _copy(first, text, len(passages) + 1)]
            )
            told[kind].append(float(answer.abstain_reason is AbstainReason.CONFLICTING))
            citations.extend(answer.citations)
    return [_row(f"conflict told, {kind}", mean_interval(each)) for kind, each in told.items()], citations


def _renumbered(passage: Passage) -> str:
    return _DIGITS.sub(lambda match: str(int(match[0]) + 7), passage.hit.chunk.text)


def _copy(passage: Passage, text: str, number: int) -> Passage:
    hit = passage.hit
    chunk = replace(hit.chunk, id=f"{hit.chunk.id}-copy", revision_id=f"{hit.chunk.revision_id}-copy", text=text)
    return Passage(number, replace(hit, chunk=chunk, key=f"{hit.key}-copy"))


async def reciting(data: Path, model: MiniLm) -> tuple[list[Row], list[Citation]]:
    """Answers of language models, cited and verified by the pipeline; what `drop` leaves of them."""
    folder = data / "mtrag-human-ratings"
    corpus = Corpus.load(folder / "corpus.jsonl", model)
    at = {one: position for position, one in enumerate(corpus.ids)}
    verifier = Verifier(AlignmentJudge(model.embed))
    citations: list[Citation] = []
    kept: dict[bool, list[float]] = {True: [], False: []}
    for row in read(folder / "responses.jsonl")[:: 225 // _RECITED]:
        passages = [_moved(corpus.passage(at[one], number)) for number, one in enumerate(row["context_ids"], start=1)]
        reciter = Reciter(row["response"])
        whole = await _answered(VerifiedAnswerer(reciter, verifier, Policy.FLAG), passages)
        dropped = await _answered(VerifiedAnswerer(reciter, verifier, Policy.DROP), passages)
        faithful = float(np.mean(row["ratings"]["faithfulness"])) >= verification.FAITHFUL
        kept[faithful].append(len(dropped.sentences) / max(1, len(whole.sentences)))
        citations += [*whole.citations, *dropped.citations]
    names = {True: "faithful", False: "unfaithful"}
    return [
        _row(f"sentences that drop leaves, {names[key]} answers", mean_interval(each)) for key, each in kept.items()
    ], citations


def _moved(passage: Passage) -> Passage:
    chunk = passage.hit.chunk
    span = Span(_MOVED, _MOVED + len(chunk.text), 0, 0)
    return replace(passage, hit=replace(passage.hit, chunk=replace(chunk, span=span)))


async def _answered(answerer: Answerer, passages: Sequence[Passage]) -> Answer:
    *_, last = [event async for event in answerer.answer(Question("?"), passages)]
    assert isinstance(last, Answered)
    return last.answer


def false_quotes(citations: Iterable[Citation]) -> int:
    """How many quotes are not, letter by letter, where they say; found without the check of the product."""
    wrong = 0
    for one in citations:
        span, text = one.passage.hit.chunk.span, one.passage.hit.chunk.text
        document = "\0" * span.start + text
        wrong += not one.quote or document[one.source_start : one.source_end] != one.quote
    return wrong


def _row(name: str, each: Interval) -> Row:
    return name, each.estimate, each.low, each.high


async def run(data: Path) -> int:
    """Print every table; the number of false quotes."""
    model = MiniLm()
    quoted, citations = await quoting(data, model)
    conflicts, more = await contradicting(data, model)
    recited, most = await reciting(data, model)
    every = [*citations, *more, *most]
    parts = {
        "extractive answers": quoted,
        "abstention": await abstaining(data, model),
        "conflicts": conflicts,
        "verification": [*await verifying(data, model), *recited],
    }
    model.keep()
    for name, table in parts.items():
        print_table((name, "value", "low", "high"), table)
    wrong = false_quotes(every)
    print(f"{wrong} of {len(every)} citations have a wrong quote or offset (I10)")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    print_heading("answers; intervals of 90 %")
    if asyncio.run(run(parser.parse_args().data)):
        sys.exit(1)


if __name__ == "__main__":
    main()
