"""Public test sets with judged documents, indexed by the platform's own classes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.home import Document, Home, built
from evaluation.measures import Grades
from indexes.model import Block, BlockKind, CanonicalText
from ingestion.chunk import chunk

_AT_ONCE = 256  # documents embedded and stored together


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Documents, queries and judgements, each by id."""

    name: str
    documents: Mapping[str, CanonicalText]
    queries: Mapping[str, str]
    judgements: Mapping[str, Grades]

    async def home(self, cache: Path) -> Path:
        """A home that holds all documents, each under its id; made once, which takes minutes for thousands."""
        return await built(cache, self.name, self._fill)

    async def _fill(self, home: Home) -> None:
        embedder = await home.models.embedder(home.manifest.embedding)
        items = list(self.documents.items())
        for first in range(0, len(items), _AT_ONCE):
            part = items[first : first + _AT_ONCE]
            spans = {key: chunk(text, home.manifest.chunking, embedder.tokenizer) for key, text in part}
            vectors = await embedder.documents(
                [text.text[span.start : span.end] for key, text in part for span in spans[key]]
            )
            documents, row = [], 0
            for key, text in part:
                documents.append(Document(key, text.text, spans[key], vectors[row : row + len(spans[key])]))
                row += len(spans[key])
            await home.put(documents)


def scifact(data: Path) -> JudgedSet:
    """BEIR SciFact, test: claims as queries, abstracts as documents."""
    folder = data / "scifact"
    judgements: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judgements.setdefault(query, {})[document] = float(grade)
    queries = {row["id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    return JudgedSet("scifact", _documents(folder), queries, judgements)


def clapnq(data: Path) -> JudgedSet:
    """CLAPnq dev, the answerable questions: each is judged against the one passage it was asked of."""
    folder = data / "clapnq-dev"
    asked = [row for row in _rows(folder / "qa.jsonl") if row["answerable"]]
    queries = {row["id"]: row["question"] for row in asked}
    return JudgedSet("clapnq", _documents(folder), queries, {row["id"]: {row["context_id"]: 1.0} for row in asked})


def _documents(folder: Path) -> dict[str, CanonicalText]:
    return {row["id"]: _document(row["title"], row["text"]) for row in _rows(folder / "corpus.jsonl")}


def _document(title: str, text: str) -> CanonicalText:
    """As the parser of Markdown would see the title as a heading with the text below."""
    whole = f"{title}\n\n{text}"
    heading = Block(0, len(title), BlockKind.HEADING, section=(title,))
    paragraph = Block(len(title) + 2, len(whole), BlockKind.PARAGRAPH, section=(title,))
    return CanonicalText(whole, (heading, paragraph), "text/markdown", title)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
