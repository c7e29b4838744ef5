"""Public test sets with judged documents, indexed by the platform's own classes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.home import Document, Home
from bench.vectors import KeptVectors
from evaluation.measures import Grades
from indexes.context import in_context
from indexes.model import Block, BlockKind, CanonicalText, Chunk
from ingestion.chunk import chunk as cut

XQUAD = {"ar": "arabic", "de": "german", "es": "spanish", "hi": "hindi", "ru": "russian", "zh": "chinese"}


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Documents, queries and judgements, each by id."""

    name: str
    documents: Mapping[str, CanonicalText]
    queries: Mapping[str, str]
    judgements: Mapping[str, Grades]
    language: str = "english"

    async def index(self, home: Home, cache: Path) -> None:
        """Put every document into the store, under its id. Embedding takes minutes the first time."""
        embedder = await home.models.embedder(home.manifest.embedding)
        vectors = KeptVectors(cache, embedder)
        spans = {key: cut(text, home.manifest.chunking, embedder.tokenizer) for key, text in self.documents.items()}
        chunks = [
            Chunk("", key, span, self.documents[key].text[span.start : span.end])
            for key, of in spans.items()
            for span in of
        ]
        rows = await vectors.documents([in_context(chunk, home.manifest.context) for chunk in chunks])
        documents, first = [], 0
        for key, of in spans.items():
            documents.append(Document(key, self.documents[key].text, of, rows[first : first + len(of)]))
            first += len(of)
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
    return _asked("clapnq", data / "clapnq-dev")


def clapnq_questions(data: Path) -> list[str]:
    """All that are asked there, answerable or not."""
    return [row["question"] for row in _rows(data / "clapnq-dev" / "qa.jsonl")]


def xquad(data: Path, code: str, most_queries: int = 300) -> JudgedSet:
    """XQuAD in the language of this code, one of `XQUAD`: the first questions, each judged by its own paragraph."""
    return _asked(f"xquad {code}", data / "xquad" / code, most_queries, XQUAD[code])


def _asked(name: str, folder: Path, most_queries: int | None = None, language: str = "english") -> JudgedSet:
    asked = [row for row in _rows(folder / "qa.jsonl") if row["answerable"]][:most_queries]
    queries = {row["id"]: row["question"] for row in asked}
    judgements = {row["id"]: {row["context_id"]: 1.0} for row in asked}
    return JudgedSet(name, _documents(folder), queries, judgements, language)


def _documents(folder: Path) -> dict[str, CanonicalText]:
    return {row["id"]: _document(row["title"], row["text"]) for row in _rows(folder / "corpus.jsonl")}


def _document(title: str, text: str) -> CanonicalText:
    """As a parser makes of a title with a text below it."""
    whole = f"{title}\n\n{text}"
    heading = Block(0, len(title), BlockKind.HEADING, section=(title,))
    paragraph = Block(len(title) + 2, len(whole), BlockKind.PARAGRAPH, section=(title,))
    return CanonicalText(whole, (heading, paragraph), "text/markdown", title)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
