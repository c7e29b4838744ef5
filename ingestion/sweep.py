"""Deletes bytes that no row tells of: what a crash left between the writing of bytes and the commit of their row."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from indexes.blobs import Blobs, blob_key
from indexes.catalog import orphans
from indexes.catalog.database import AT_ONCE, Database
from indexes.catalog.tables import File, Revision
from indexes.errors import NotFound
from ingestion.erase import file_key, text_key

log = logging.getLogger(__name__)
GRACE_S = 6 * 3600.0
"""Far longer than any row comes after its bytes, and than the clocks of this machine and of the storage differ."""
SWEEP_S = 3600.0
"""A pass looks at everything that is stored, for what is seldom there."""
_OWNER_KEY = blob_key("owner", "catalog")


@dataclass(frozen=True, slots=True)
class _Area:
    """Bytes of one kind: the rows that tell of them, the prefix of their ids, and the key that an id gives."""

    name: str
    noun: type[File] | type[Revision]
    prefix: str
    key: Callable[[str], str]


_AREAS = (_Area("files", File, "file-", file_key), _Area("texts", Revision, "rev_", text_key))


class Sweeper:
    """Each pass is safe to run at any time, in several processes.

    A storage bears the name of the catalog whose bytes it keeps. One that bears another name is left alone: a service
    that was started with the wrong catalog must not take all that it sees for orphans.
    """

    def __init__(self, database: Database, blobs: Blobs, grace_s: float = GRACE_S) -> None:
        self._database = database
        self._blobs = blobs
        self._grace_s = grace_s

    async def once(self) -> int:
        """Look at everything that is older than the grace period; how many keys were deleted."""
        if not await self._is_ours():
            return 0
        than = time.time() - self._grace_s
        deleted = await asyncio.to_thread(self._delete, self._blobs.older("incoming", than))
        for area in _AREAS:
            keys = self._blobs.older(area.name, than)
            while some := await asyncio.to_thread(list, islice(keys, AT_ONCE)):
                ids = [area.prefix + key.rpartition("/")[2] for key in some]
                async with self._database.read() as session:
                    gone = await orphans.unknown(session, area.noun, ids)
                deleted += await asyncio.to_thread(self._delete, map(area.key, gone))
        if deleted:
            log.info("deleted the bytes of %d uploads and texts that a crash had left without a row", deleted)
        return deleted

    async def _is_ours(self) -> bool:
        async with self._database.read() as session:
            mine = await orphans.identity(session)
        if mine is None:
            return False
        owner = await asyncio.to_thread(self._owner, mine)
        if owner != mine:
            log.warning("the blob storage belongs to another catalog (%s): what this one does not know stays", owner)
        return owner == mine

    def _owner(self, mine: str) -> str:
        """Whose storage this is; from now on ours if it was nobody's."""
        try:
            return self._blobs.read(_OWNER_KEY).decode()
        except NotFound:
            self._blobs.write(_OWNER_KEY, mine.encode())
            return mine

    def _delete(self, keys: Iterable[str]) -> int:
        count = 0
        for key in keys:
            self._blobs.delete(key)
            count += 1
        return count
