"""Vectors kept between runs: embedding a test set takes minutes, everything else about it seconds."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexes.embedder import SharedEmbedder
from indexes.model import Vector

_SAVED_AT_ONCE = 1_024  # new rows between two writes of the file, so that a run that is cut off loses little


class KeptVectors:
    """Rows of one embedder by text, in a file below `folder` that belongs to its spec."""

    def __init__(self, folder: Path, embedder: SharedEmbedder) -> None:
        self._embedder = embedder
        spec = hashlib.sha256(repr(embedder.spec).encode()).hexdigest()[:12]
        self._path = folder / f"{embedder.spec.name}-{spec}.npz"
        self._rows: dict[str, Vector] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                self._rows = dict(zip(kept["texts"].tolist(), kept["rows"], strict=True))

    async def documents(self, texts: Sequence[str]) -> Vector:
        """As `SharedEmbedder.documents`."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        missing = list(new)
        for first in range(0, len(missing), _SAVED_AT_ONCE):
            part = missing[first : first + _SAVED_AT_ONCE]
            rows = await self._embedder.documents([new[key] for key in part])
            self._rows.update(zip(part, rows, strict=True))
            self._save()
        return np.stack([self._rows[key] for key in keys])

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._path.with_suffix(".new.npz")
        np.savez(whole, texts=np.array(list(self._rows)), rows=np.stack(list(self._rows.values())))
        whole.replace(self._path)
