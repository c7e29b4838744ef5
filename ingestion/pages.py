"""On which page a place of a file's canonical text is printed."""

import asyncio
from bisect import bisect_right
from functools import lru_cache

from indexes.blobs import Blobs
from indexes.catalog import revisions
from indexes.catalog.database import Database
from ingestion.parse.artefact import loads

_KEPT = 64  # texts whose pages are remembered: a few hundred bytes for each page of them


class Pages:
    """Reads the stored texts; see `generation.cite.Pages`."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._blocks = lru_cache(_KEPT)(self._read)

    async def page(self, revision_id: str, offset: int) -> int | None:
        """The page, from 1, of the code point `offset` of the text; None where the text or its pages are unknown.

        White space between two blocks counts to the second. Raises NotFound and Unavailable as the blob store does.
        """
        async with self._database.read() as session:
            key = await revisions.text_blob(session, revision_id)
        if key is None:
            return None
        ends, pages = await asyncio.to_thread(self._blocks, key)
        at = bisect_right(ends, offset)
        return pages[at] if at < len(ends) else None

    def _read(self, key: str) -> tuple[list[int], list[int | None]]:
        blocks = loads(self._blobs.read(key)).blocks
        return [block.end for block in blocks], [block.page for block in blocks]
