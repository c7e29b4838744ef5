"""What the pipeline needs of whoever parses and chunks for it."""

from pathlib import Path
from typing import Protocol

from indexes.manifest import Chunking
from indexes.model import CanonicalText, Span


class Parser(Protocol):
    """Parses and chunks outside this process, within limits."""

    @property
    def version(self) -> str:
        """Equal versions make equal texts of equal bytes."""

    async def parse(self, path: Path, filename: str) -> CanonicalText:
        """The canonical text. Raises DocumentError."""

    async def chunk(self, text: CanonicalText, chunker: str, chunking: Chunking, model: Path | None) -> list[Span]:
        """The spans of the chunks, measured by the tokenizer in the folder `model`; None measures in words."""
