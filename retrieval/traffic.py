"""Lets candidates take part in live traffic: a canary answers a share of the queries, a shadow runs beside a share.

What was seen of them is kept for the comparison of versions. Nothing here delays an answer: shadows run afterwards, a
few at a time, and are left out when there are more.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field

from indexes.catalog.versions import Version
from indexes.catalog.visibility import View
from indexes.errors import CitewellError
from retrieval.observations import Observations, Trial
from retrieval.query import Query
from retrieval.ranking import Ranked, Ranker

log = logging.getLogger(__name__)
_SHADOWS_AT_ONCE = 2


@dataclass(slots=True)
class Traffic:
    """Which version answers a query, and which others look at it."""

    ranker: Ranker
    observations: Observations
    _shadows: set[asyncio.Task[None]] = field(default_factory=set)

    def chosen(self, view: View, query: Query) -> Version:
        """The version asked for, or a canary for its share of the keys, or the live one."""
        if query.index_version is None and query.snapshot is None:
            for candidate in view.candidates:
                if _share("canary", candidate.version, query) < candidate.canary_share:
                    return candidate.version
        return view.version

    def observe(self, view: View, version: Version, query: Query, ranked: Ranked) -> None:
        """Remember the question, and let shadows answer it too."""
        if query.index_version is not None or query.snapshot is not None:
            return
        self.observations.note_query(view.store_id, query.queries[0])
        if version != view.version:
            self.observations.note_trial(Trial("canary", version, view.version, candidate=ranked, baseline=None))
            return
        for candidate in view.candidates:
            wanted = _share("shadow", candidate.version, query) < candidate.shadow_share
            if wanted and len(self._shadows) < _SHADOWS_AT_ONCE:
                task = asyncio.create_task(self._shadow(view, candidate.version, query, ranked))
                self._shadows.add(task)
                task.add_done_callback(self._shadows.discard)

    async def close(self) -> None:
        """Stop the shadows."""
        for task in self._shadows:
            task.cancel()
        await asyncio.gather(*self._shadows, return_exceptions=True)

    async def _shadow(self, view: View, version: Version, query: Query, live: Ranked) -> None:
        try:
            ranked = await self.ranker.ranked(version, view.hidden, query)
        except CitewellError as error:
            log.warning("the shadow of index version %s failed: %s", version.id, error.message)
            return
        self.observations.note_trial(Trial("shadow", version, view.version, candidate=ranked, baseline=live))


def _share(kind: str, version: Version, query: Query) -> float:
    """A number of [0, 1) that is the same for the same key, and independent between versions and kinds."""
    key = query.sticky_key or query.queries[0]
    digest = hashlib.sha256(f"{kind}\x00{version.id}\x00{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
