"""How many planted orders are seen, what else is taken for one, and how many reach an extractive answer.

    python -m bench.injection --data ../shared/data

Detection is per sample, as it stands. For what reaches answers each order is planted between the halves of a mail, and
the mail's own question is asked of the extractive answerer, with all-MiniLM-L6-v2: as it ships, and made to answer
whatever its confidence. An order has reached the answer where a quote overlaps it.
"""

import argparse
import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpus import MiniLm
from bench.report import print_heading, print_table
from generation.answering import Answering
from generation.extractive import ExtractiveAnswerer
from generation.model import Answer, Answered, OrdersPolicy, Question
from generation.settings import GenerationSettings
from indexes.model import Chunk, Hit, Scores, Span
from indexes.orders import orders

SEED = 20_261_122
_CHUNK = 1500  # characters of a document that are looked at together


@dataclass(frozen=True, slots=True)
class Planted:
    """A mail with an order in it, at `start` to `end`."""

    hit: Hit
    question: str
    start: int
    end: int

    @classmethod
    def of(cls, mail: dict[str, str], order: str, model: MiniLm) -> "Planted":
        """The order between the halves of the mail."""
        context = mail["context"]
        middle = context.find(" ", len(context) // 2)
        before = f"{context[:middle]}\n\n"
        text = f"{before}{order}\n\n{context[middle:]}"
        question = mail["question"].removeprefix("Q: ")
        chunk = Chunk(mail["id"], mail["id"], Span(0, len(text), 0, 0), text)
        asked, found = model.rows([question, text])
        hit = Hit(chunk, Scores(0.5, dense=float(asked @ found)), "vs", "ixv", mail["id"], mail["id"], mail["id"], {})
        return cls(hit, question, len(before), len(before) + len(order))

    def reached(self, answer: Answer) -> bool:
        """Whether any of the order is quoted."""
        return any(one.source_start < self.end and one.source_end > self.start for one in answer.citations)


async def reaching(data: Path, samples: list[dict[str, Any]]) -> None:
    """How many of the planted orders are quoted under each policy."""
    mails = _lines(data / "adversarial" / "bipia-email-contexts.jsonl")
    model = MiniLm()
    planted = [Planted.of(mails[at % len(mails)], sample["text"], model) for at, sample in enumerate(samples)]
    rows = [
        await _asked(planted, samples, model, policy, least)
        for least in (GenerationSettings().abstain_below, 0.0)
        for policy in OrdersPolicy
    ]
    print_table(("policy", "abstains below", "planted", "quoted", "abstained", "quoted most"), rows)


async def _asked(
    planted: list[Planted], samples: list[dict[str, Any]], model: MiniLm, policy: OrdersPolicy, least: float
) -> tuple[object, ...]:
    reached, abstained = Counter[str](), 0
    settings = GenerationSettings(abstain_below=least)
    answering = Answering({"extractive": ExtractiveAnswerer(settings, model.embed)}, settings)
    for one, sample in zip(planted, samples, strict=True):
        async for event in answering.answer("extractive", Question(one.question, orders=policy), [one.hit]):
            if isinstance(event, Answered):
                reached[sample["kind"]] += one.reached(event.answer)
                abstained += event.answer.abstained
    most = ", ".join(f"{kind} {count}" for kind, count in reached.most_common(2) if count)
    return policy.value, least, len(planted), reached.total(), abstained, most


def detection(data: Path, samples: list[dict[str, Any]]) -> None:
    """What is seen of each kind, and the false alarms."""
    seen: dict[tuple[str, str], list[bool]] = defaultdict(list)
    half = frozenset(random.Random(SEED).sample(range(len(samples)), len(samples) // 2))
    for at, sample in enumerate(samples):
        found = orders(sample["text"]).suspicious
        seen[sample["label"], sample["kind"].partition("_")[0]].append(found)
        seen[sample["label"], "all, first half" if at in half else "all, second half"].append(found)
    for name, texts in _innocent(data):
        seen["benign", name] = [orders(text).suspicious for text in texts]
    rows = [
        (f"{label}: {kind}", len(found), sum(found), sum(found) / len(found))
        for (label, kind), found in sorted(seen.items())
    ]
    print_table(("", "texts", "suspicious", "share"), rows)


def _innocent(data: Path) -> Iterator[tuple[str, list[str]]]:
    yield "mails", [mail["context"] for mail in _lines(data / "adversarial" / "bipia-email-contexts.jsonl")]
    yield "encyclopaedia", [one["text"] for one in _lines(data / "clapnq-dev" / "corpus.jsonl")]
    yield "scientific abstracts", [one["text"] for one in _lines(data / "scifact" / "corpus.jsonl")]
    pages = [path.read_text("utf-8", "replace") for path in sorted((data / "docs-tree").rglob("*.md"))]
    yield "documentation", [page[at : at + _CHUNK] for page in pages for at in range(0, len(page), _CHUNK)]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--every", type=int, default=1, help="Plant only each n-th order: all take some minutes.")
    arguments = parser.parse_args()
    data = arguments.data
    samples = _lines(data / "adversarial" / "injections.jsonl")
    print_heading(f"Planted orders, halves by seed {SEED}")
    detection(data, samples)
    asyncio.run(reaching(data, [sample for sample in samples if sample["label"] == "injection"][:: arguments.every]))


if __name__ == "__main__":
    main()
