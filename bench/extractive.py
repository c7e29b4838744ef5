"""How much of the gold evidence extractive answers quote, on the answerable questions of CLAPnq dev.

    python -m bench.extractive --data ../shared/data [--show 10]

A quote counts where it holds, or lies in, a sentence that annotators chose as evidence. Every citation is also held
against its text (I10).
"""

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import Corpus, MiniLm, read
from generation.cite import holds
from generation.extractive import ExtractiveAnswerer
from generation.model import Answer, Answered, Passage, Question
from generation.settings import GenerationSettings


@dataclass(slots=True)
class Tally:
    """Sums over questions."""

    questions: int = 0
    abstained: int = 0
    hits: int = 0
    precision: float = 0.0
    recall: float = 0.0
    quotes: int = 0
    false_quotes: int = 0

    def add(self, answer: Answer, gold: set[str]) -> None:
        """One answer to a question with this evidence."""
        self.questions += 1
        self.abstained += answer.abstained
        quotes = [_plain(citation.quote) for citation in answer.citations]
        right = [quote for quote in quotes if any(_same(quote, sentence) for sentence in gold)]
        found = [sentence for sentence in gold if any(_same(quote, sentence) for quote in quotes)]
        self.hits += bool(right)
        self.precision += len(right) / len(quotes) if quotes else 0.0
        self.recall += len(found) / len(gold)
        self.quotes += len(quotes)
        self.false_quotes += sum(not holds(citation) for citation in answer.citations)

    def __str__(self) -> str:
        """Rates over all questions; precision over those that were answered."""
        answered = max(1, self.questions - self.abstained)
        return (
            f"{self.questions} questions: evidence hit {self.hits / self.questions:.3f}, precision "
            f"{self.precision / answered:.3f}, recall {self.recall / self.questions:.3f}, {self.quotes / answered:.2f} "
            f"quotes an answer, {self.abstained} abstained, {self.false_quotes} false quotes (I10)"
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


async def run(data: Path, show: int) -> None:
    model = MiniLm()
    corpus = Corpus.load(data / "clapnq-dev" / "corpus.jsonl", model)
    rows = [row for row in read(data / "clapnq-dev" / "qa.jsonl") if row["answerable"] and row["selected_sentences"]]
    settings = GenerationSettings()
    kinds = {"words and embedding": ExtractiveAnswerer(settings, model.embed), "words": ExtractiveAnswerer(settings)}
    for kind, answerer in kinds.items():
        tally = Tally()
        for at, row in enumerate(rows):
            answer = await answered(answerer, row["question"], corpus.passages(model.rows([row["question"]])[0]))
            tally.add(answer, {_plain(sentence) for sentence in row["selected_sentences"]})
            if at < show:
                print(f"\nQ: {row['question']}\n{answer.text}")
        print(f"\n{kind}: {tally}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--show", type=int, default=0, help="answers to print for reading")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.data, arguments.show))


if __name__ == "__main__":
    main()
