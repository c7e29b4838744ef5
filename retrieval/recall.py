"""Watches the recall of approximate searches in use: a sample of them is done again exactly, beside the traffic."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from indexes.errors import CitewellError
from indexes.filters import Filter
from indexes.index import Index
from indexes.model import Match, Vector

log = logging.getLogger(__name__)
_DEPTH = 10
_LEAST = 0.95


@dataclass(frozen=True, slots=True)
class Replay:
    """A dense search that was done, and what it found."""

    version_id: str
    index: Index
    vector: Vector
    where: Filter | None
    hidden: Sequence[str]
    found: Sequence[Match]


@dataclass(slots=True)
class RecallWatch:
    """Replays a share of the searches, 0..1, one at a time; those that would have to wait are left out.

    `note` is told of each version's id and recall, 0..1.
    """

    share: float
    note: Callable[[str, float], None]
    _replaying: asyncio.Task[None] | None = field(default=None, init=False)

    def consider(self, replay: Replay) -> None:
        """Replay the search if it falls into the sample."""
        if self._replaying is None and random.random() < self.share:  # noqa: S311 - a sample, not a secret
            self._replaying = asyncio.create_task(self._replay(replay))
            self._replaying.add_done_callback(self._forget)

    async def close(self) -> None:
        """Stop."""
        if self._replaying is not None:
            self._replaying.cancel()
            await asyncio.gather(self._replaying, return_exceptions=True)

    async def _replay(self, replay: Replay) -> None:
        try:
            exact = await asyncio.to_thread(
                replay.index.dense, replay.vector, _DEPTH, replay.where, replay.hidden, exact=True
            )
        except CitewellError as error:
            log.info("a search of index version %s was not replayed: %s", replay.version_id, error.message)
            return
        if exact:
            recall = _recall(replay.found[:_DEPTH], exact)
            self.note(replay.version_id, recall)
            if recall < _LEAST:
                log.info("a search of index version %s had recall %.2f of the exact ten", replay.version_id, recall)

    def _forget(self, _task: asyncio.Task[None]) -> None:
        self._replaying = None


def _recall(found: Sequence[Match], exact: Sequence[Match]) -> float:
    """The share of the exact matches that were found. Chunks as near as the last of them count alike."""
    least = exact[-1].score - 1e-6
    return min(1.0, sum(match.score >= least for match in found) / len(exact))
