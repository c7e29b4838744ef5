"""What was seen of a live version and a candidate: all that the gate judges by. Plain values; whoever searches fills
them in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.golden import GoldenQuery
from evaluation.measures import Grades
from indexes.model import Hit, Scores


@dataclass(frozen=True, slots=True)
class Found:
    """One chunk that a search found."""

    key: str
    chunk_id: str
    scores: Scores

    @classmethod
    def of(cls, hit: Hit) -> "Found":
        """What the gate needs of a hit: none of its text."""
        return cls(hit.key, hit.chunk.id, hit.scores)

    def id(self, *, by_chunk: bool) -> str:
        """What it counts as in a ranking."""
        return self.chunk_id if by_chunk else self.key


@dataclass(frozen=True, slots=True)
class Results:
    """What one version answered to one query, best first, and how long that took."""

    found: tuple[Found, ...]
    latency_ms: float

    def ranking(self, *, by_chunk: bool) -> list[str]:
        """Ids in the order of the whole search."""
        return [found.id(by_chunk=by_chunk) for found in self.found]

    def dense_ranking(self, *, by_chunk: bool) -> list[str]:
        """Ids in the order of the embedding search alone; none where the search did without.

        The lexical half of two versions is mostly the same, and hides what their embeddings do.
        """
        dense = [(found.scores.dense, found) for found in self.found]
        scored = sorted(((score, found) for score, found in dense if score is not None), key=lambda pair: -pair[0])
        return [found.id(by_chunk=by_chunk) for _, found in scored]

    def dense_scores(self) -> list[float]:
        """Scores of the embedding search, best first."""
        return sorted((found.scores.dense for found in self.found if found.scores.dense is not None), reverse=True)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One query put to both versions: of the golden set with what is known of it, or recorded, with nothing known."""

    id: str
    text: str
    live: Results
    candidate: Results
    golden: GoldenQuery | None = None

    def grades(self, *, by_chunk: bool) -> Grades | None:
        """What is known to be relevant, of chunks or of documents; None where nothing is."""
        if self.golden is None:
            return None
        grades = self.golden.chunks if by_chunk else self.golden.keys
        return grades if any(grade > 0 for grade in grades.values()) else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A live version beside a candidate.

    Each query's results are as deep as the search takes candidates, so that the first ten of the embedding search are
    among them. `ann_recall` is, for each query, the share of the exact ten nearest chunks of the candidate that its
    approximate search finds. `same_chunks` says that parser, chunker and chunking are equal, without which chunk ids
    of two versions cannot be compared. None, or no query, is what was not measured.
    """

    queries: Sequence[Comparison]
    ann_recall: Sequence[float]
    live_bytes: int | None
    candidate_bytes: int | None
    same_chunks: bool
