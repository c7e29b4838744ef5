"""The chunks of a revision for one index version: had again where its text was cut by the same rule, made where not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from indexes import ids
from indexes.catalog import chunks
from indexes.catalog.database import Database
from indexes.catalog.tables import Revision
from indexes.embedders.models import Models
from indexes.manifest import Chunking, Manifest
from indexes.model import CanonicalText, Chunk, Span
from indexes.orders import orders
from ingestion.chunk import fit


class Chunker(Protocol):
    """Cuts texts outside this process."""

    async def chunk(self, text: CanonicalText, chunker: str, chunking: Chunking, model: Path | None) -> list[Span]:
        """The spans of the chunks, measured by the tokenizer in the folder `model`; None measures in words."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts for one process."""

    database: Database
    models: Models
    chunker: Chunker

    async def known(self, revision: Revision, manifest: Manifest) -> list[Chunk]:
        """The chunks that are in the catalog; none where the revision was not cut by this rule yet."""
        async with self.database.read() as session:
            return await chunks.of(session, revision.id, manifest.cut)

    async def cut(self, revision: Revision, manifest: Manifest, text: CanonicalText) -> list[Chunk]:
        """Cut `text`. Nothing is stored."""
        model = await self.models.tokenizer_folder(manifest)
        spans = await self.chunker.chunk(text, manifest.chunker, _chunking(revision, manifest), model)
        return await asyncio.to_thread(_chunks, revision.id, manifest.cut, text.text, spans)


def _chunks(revision_id: str, cut: str, text: str, spans: Sequence[Span]) -> list[Chunk]:
    return [
        Chunk(
            id=ids.chunk_id(revision_id, cut, span.ordinal),
            revision_id=revision_id,
            span=span,
            text=(passage := text[span.start : span.end]),
            orders=orders(passage).score,
        )
        for span in spans
    ]


def _chunking(revision: Revision, manifest: Manifest) -> Chunking:
    if revision.max_tokens is None:
        return manifest.chunking
    return fit(Chunking(revision.max_tokens, revision.overlap_tokens or 0), manifest.embedding.max_tokens)
