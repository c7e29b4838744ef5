"""What is remembered of live queries: the questions, to compare versions by, and how candidates did on them.

Notes are taken in memory and written a little later, several at a time, so that a search is not a write. A process that
is killed loses those of a few seconds.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

from indexes.catalog import observed
from indexes.catalog.database import Database
from indexes.catalog.version_tables import RecordedQuery, TrialRow
from indexes.catalog.versions import Version
from indexes.errors import CitewellError
from retrieval.ranking import Ranked

log = logging.getLogger(__name__)
_FLUSH_S = 2.0
_MOST_NOTES = 1_000
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """One live query that `version` answered (`canary`) or ran beside the live `instead_of` (`shadow`)."""

    kind: str
    version: Version
    instead_of: Version
    candidate: Ranked
    baseline: Ranked | None


class Observations:
    """Keeps the newest `recorded_queries` questions of each store; 0 keeps none."""

    def __init__(self, database: Database, recorded_queries: int) -> None:
        self._database = database
        self._recorded_queries = recorded_queries
        self._queries: deque[RecordedQuery] = deque(maxlen=_MOST_NOTES)
        self._trials: deque[TrialRow] = deque(maxlen=_MOST_NOTES)
        self._recalls: deque[tuple[str, float]] = deque(maxlen=_MOST_NOTES)

    def note_query(self, store_id: str, text: str) -> None:
        """Remember a question."""
        if self._recorded_queries:
            self._queries.append(RecordedQuery(store_id=store_id, text=text))

    def note_trial(self, trial: Trial) -> None:
        """Remember how a candidate did."""
        self._trials.append(
            TrialRow(
                version_id=trial.version.id,
                baseline=trial.instead_of.id,
                kind=trial.kind,
                baseline_ranking=trial.baseline.documents()[:_DEPTH] if trial.baseline else [],
                baseline_ms=trial.baseline.search_ms if trial.baseline else None,
                candidate_ranking=trial.candidate.documents()[:_DEPTH],
                candidate_ms=trial.candidate.search_ms,
            )
        )

    def note_recall(self, version_id: str, recall: float) -> None:
        """Remember the recall, 0..1, of one approximate search."""
        self._recalls.append((version_id, recall))

    async def run(self) -> None:
        """Write what was noted every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                await self.flush()
            except CitewellError as error:
                log.warning("notes on live queries were lost: %s", error.message)
            except Exception:
                log.exception("notes on live queries were lost")

    async def flush(self) -> None:
        """Write what was noted so far."""
        queries, trials, recalls = list(self._queries), list(self._trials), list(self._recalls)
        self._queries.clear()
        self._trials.clear()
        self._recalls.clear()
        if queries or trials or recalls:
            async with self._database.write() as session:
                await observed.put(session, queries, trials, self._recorded_queries)
                await observed.put_recalls(session, recalls)
