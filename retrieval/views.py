"""What searches of this process may see: views of the catalog, each used by the searches of a moment."""

import time
from collections import OrderedDict
from dataclasses import replace
from functools import partial

from indexes.catalog import visibility
from indexes.catalog.database import Database
from indexes.catalog.visibility import Pinned, View
from retrieval.query import Query

_FRESH_S = 0.5
_STORES = 1_000


class Views:
    """Takes views, and hands one out again for a moment while nothing is being written to its store.

    A search that ends by `visibility.sighting` finds out where its view was too old, and takes a new one: I4 holds, and
    a promote or a delete shows in the next search, whoever did it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[tuple[str, str], View] = OrderedDict()

    async def view(self, project: str, store_id: str, query: Query, *, fresh: bool) -> View:
        """Where to search. Raises NotFound and Conflict as `visibility.view` does."""
        now = query.index_version is None and query.snapshot is None
        recent = self._recent.get((project, store_id)) if now and not fresh else None
        if recent is not None and 0 <= time.time() - recent.taken_at < _FRESH_S:
            return replace(recent, reused=True)
        pinned = visibility.LIVE if now else await self._pinned(project, store_id, query)
        take = partial(visibility.view, project=project, store_id=store_id)
        view = await self._database.snapshot(partial(take, pinned=pinned))
        if now and not view.live_is_whole:  # another one answers in its place, or says how far it is restored
            pinned = await self._pinned(project, store_id, query)
            return await self._database.snapshot(partial(take, pinned=pinned))
        if now:
            self._keep((project, store_id), view)
        return view

    async def _pinned(self, project: str, store_id: str, query: Query) -> Pinned:
        async with self._database.read() as session:
            return await visibility.pinned(session, project, store_id, query.index_version, query.snapshot)

    def _keep(self, place: tuple[str, str], view: View) -> None:
        self._recent.pop(place, None)
        if not view.hidden:
            self._recent[place] = view
            if len(self._recent) > _STORES:
                self._recent.popitem(last=False)
