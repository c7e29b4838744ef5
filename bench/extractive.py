"""How much of the gold evidence extractive answers quote, on the answerable questions of CLAPnq dev.

    python -m bench.extractive --data ../shared/data [--show 10]

A quote counts where it holds, or lies in, a sentence that annotators chose as evidence. Intervals are of 90 %.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import Corpus, MiniLm, read
from bench.report import print_table
from evaluation.bootstrap import Interval, mean_interval
from generation.extractive import ExtractiveAnswerer
from generation.model import Answer, Answered, Passage, Question
from generation.settings import GenerationSettings


@dataclass(frozen=True, slots=True)
class Quoted:
    """One answer beside the evidence that annotators chose: `right` of its quotes, `found` of the `gold` sentences."""

    answer: Answer
    right: int
    found: int
    gold: int

    @classmethod
    def of(cls, answer: Answer, gold: set[str]) -> "Quoted":
        """Compare them."""
        quotes = [_plain(citation.quote) for citation in answer.citations]
        right = sum(any(_same(quote, sentence) for sentence in gold) for quote in quotes)
        found = sum(any(_same(quote, sentence) for quote in quotes) for sentence in gold)
        return cls(answer, right, found, len(gold))


def rows(found: Sequence[Quoted]) -> list[tuple[str, Interval]]:
    """Means with their intervals: over all questions, but precision over those that were answered."""
    answered = [one for one in found if one.answer.citations]
    return [
        ("any evidence quoted", mean_interval([float(one.right > 0) for one in found])),
        ("recall of gold sentences", mean_interval([one.found / one.gold for one in found])),
        ("quotes that are gold", mean_interval([one.right / len(one.answer.citations) for one in answered])),
        ("sentences that their quote contains", mean_interval([float(_contained(one.answer)) for one in answered])),
        ("quotes in an answer", mean_interval([float(len(one.answer.citations)) for one in answered])),
        ("abstained, wrongly", mean_interval([float(one.answer.abstained) for one in found])),
    ]


def _contained(answer: Answer) -> bool:
    """Whether all that the answer says is in the quotes cited for it, but for white space and list markers."""
    return all(
        _plain(answer.text[one.start : one.end]) in _plain(" ".join(answer.citations[at].quote for at in one.citations))
        for one in answer.sentences
    )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _same(one: str, other: str) -> bool:
    return one in other or other in one


async def answered(answerer: ExtractiveAnswerer, question: str, passages: list[Passage]) -> Answer:
    """The whole answer."""
    events = [event async for event in answerer.answer(Question(question), passages)]
    assert isinstance(events[-1], Answered)
    return events[-1].answer


async def measure(data: Path, model: MiniLm) -> dict[str, list[Quoted]]:
    """Every answerable question, with the embedding model and without."""
    corpus = Corpus.load(data / "clapnq-dev" / "corpus.jsonl", model)
    asked = [row for row in read(data / "clapnq-dev" / "qa.jsonl") if row["answerable"] and row["selected_sentences"]]
    settings = GenerationSettings()
    kinds = {"words and embedding": ExtractiveAnswerer(settings, model.embed), "words": ExtractiveAnswerer(settings)}
    found: dict[str, list[Quoted]] = {kind: [] for kind in kinds}
    for row in asked:
        passages = corpus.passages(model.rows([row["question"]])[0])
        for kind, answerer in kinds.items():
            answer = await answered(answerer, row["question"], passages)
            found[kind].append(Quoted.of(answer, {_plain(sentence) for sentence in row["selected_sentences"]}))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--show", type=int, default=0, help="answers to print for reading")
    arguments = parser.parse_args()
    model = MiniLm()
    for kind, found in asyncio.run(measure(arguments.data, model)).items():
        for one in found[: arguments.show]:
            print(f"{one.answer.text}\n")
        table = [(name, each.estimate, each.low, each.high) for name, each in rows(found)]
        print_table((kind, "mean", "low", "high"), table)
    model.keep()


if __name__ == "__main__":
    main()
