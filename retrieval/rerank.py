"""Puts the best hits in a better order, as many of them as there is time for."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexes.errors import CitewellError
from indexes.model import Hit
from indexes.reranker import SharedReranker
from indexes.rerankers.settings import NoRerankSettings, RerankSettings

log = logging.getLogger(__name__)
_SLICE = 5  # hits that are scored or not, as one: a forward pass of the CPU, and a few to a request of a server
_LOG_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Reranked:
    """Hits, best first: the `reranked` best by `scores.rerank` of `model`, the others behind in the order they had.

    `problem` says why fewer were reranked than was asked for; None where none is missing.
    """

    hits: list[Hit]
    reranked: int
    model: str
    problem: str | None = None


class Reranking:
    """Reranks for one process. A reranker that fails or is late costs the better order, never the hits."""

    def __init__(self, reranker: SharedReranker | None, settings: RerankSettings) -> None:
        """Without a reranker hits stay as they are, and the model is called `none`."""
        self._reranker = reranker
        self._settings = settings
        self._last_logged_s = float("-inf")

    @property
    def candidates(self) -> int:
        """How many of the best hits are reranked; 0 where nothing is."""
        if self._reranker is None or isinstance(self._settings, NoRerankSettings):
            return 0
        return self._settings.candidates

    async def rank(self, question: str, hits: Sequence[Hit], within_s: float) -> Reranked:
        """The same hits in a better order, within that time and the budget of the settings. Never raises for a
        reranker that cannot do it. Equal scores keep the order they had.
        """
        if self._reranker is None or isinstance(self._settings, NoRerankSettings) or not hits:
            return Reranked(list(hits), 0, self._reranker.spec.name if self._reranker else "none")
        wanted = [hit.chunk.text for hit in hits[: self._settings.candidates]]
        scores, problem = await _scores(self._reranker, question, wanted, min(within_s, self._settings.budget_s))
        if problem is not None:
            self._log(problem)
        scored = [
            replace(hit, scores=hit.scores._replace(rerank=score)) for hit, score in zip(hits, scores, strict=False)
        ]
        best = sorted(scored, key=lambda hit: -(hit.scores.rerank or 0.0))  # stable
        return Reranked([*best, *hits[len(best) :]], len(best), self._reranker.spec.name, problem)

    def _log(self, problem: str) -> None:
        """Once in a while: a reranker that is down is down for every search."""
        if time.monotonic() - self._last_logged_s > _LOG_AGAIN_S:
            self._last_logged_s = time.monotonic()
            log.warning("hits were not all reranked: %s", problem)


async def _scores(
    reranker: SharedReranker, question: str, texts: list[str], within_s: float
) -> tuple[list[float], str | None]:
    """Scores of the first texts, up to the first slice that failed or came too late, and what became of that one."""
    slices = [texts[first : first + _SLICE] for first in range(0, len(texts), _SLICE)]
    tasks = [asyncio.create_task(reranker.scores(question, part)) for part in slices]
    try:
        await asyncio.wait(tasks, timeout=max(0.0, within_s))
        done = [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
    failures = {task: task.exception() for task in done}
    scores: list[float] = []
    for task in tasks:
        if task not in failures:
            return scores, f"The time was up after {len(scores)} of {len(texts)} hits."
        if error := failures[task]:
            return scores, error.message if isinstance(error, CitewellError) else f"The reranker failed: {error!r}"
        scores += task.result().tolist()
    return scores, None
