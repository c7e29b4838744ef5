"""What a delete has verified: each thing counted before, and looked for again afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Gone:
    """So many were `found` before the delete, and so many were still there when it was looked again."""

    found: int = 0
    remaining: int = 0

    def __add__(self, other: "Gone") -> "Gone":
        return Gone(self.found + other.found, self.remaining + other.remaining)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Revisions, chunks, canonical texts, file bytes, answers that held text of them, and points by index version.

    `points` has the id of every index version that was checked, and how many points were left in it.
    """

    revisions: Gone = Gone()
    chunks: Gone = Gone()
    texts: Gone = Gone()
    files: Gone = Gone()
    responses: Gone = Gone()
    points: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left. Otherwise a worker held it: readers see none of it, and it goes when that ends."""
        counted = (self.revisions, self.chunks, self.texts, self.files, self.responses)
        return not any(one.remaining for one in counted) and not any(self.points.values())

    def __add__(self, other: Self) -> "Receipt":
        points = {key: self.points.get(key, 0) + other.points.get(key, 0) for key in {**self.points, **other.points}}
        sums = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)[:-1]}
        return Receipt(**sums, points=points)
