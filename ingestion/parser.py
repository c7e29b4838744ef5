"""What the pipeline needs of whoever parses for it."""

from pathlib import Path
from typing import Protocol

from indexes.model import CanonicalText


class Parser(Protocol):
    """Parses outside this process, within limits."""

    @property
    def version(self) -> str:
        """Equal versions make equal texts of equal bytes."""

    async def parse(self, path: Path, filename: str) -> CanonicalText:
        """The canonical text. Raises DocumentError."""
