"""Who calls, by the key that comes with a request."""

from functools import partial

from indexes.catalog import keys
from indexes.catalog.database import Database
from indexes.catalog.keys import Caller


class Callers:
    """Knows the callers of a moment, for one process.

    The catalog is asked again as soon as anything was committed to it, so a key that was revoked, by whatever process,
    is refused from the next request on. Where the catalog cannot tell at once, each request asks it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Caller] = {}
        self._as_of: int | None = None

    async def of(self, secret: str) -> Caller | None:
        """Whose key this is, or None."""
        now = self._database.commits()
        if now is None or now != self._as_of:
            self._known, self._as_of = {}, now
        caller = self._known.get(secret)
        if caller is None:
            known = self._known
            caller = await self._database.snapshot(partial(keys.caller, secret=secret))
            if caller is not None and now is not None:
                known[secret] = caller  # where something was committed meanwhile, this is not looked at again
        return caller
