"""What stands before and after chunks in their texts."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, false, or_, select

from indexes.catalog.chunks import chunk_of
from indexes.catalog.tables import ChunkRow, Revision
from indexes.catalog.visibility import View, readable
from indexes.model import Chunk


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around hits in one revision: chunks in the order of the text, and the blob that has it."""

    chunks: tuple[Chunk, ...]
    text_blob: str


def around(
    connection: Connection, view: View, cut: str, chunks: Collection[Chunk], reach: int
) -> dict[str, Surroundings]:
    """The chunks up to `reach` before and after each of `chunks`, and those themselves, by revision.

    All are of the rule `cut` and of revisions that readers may see. For `Database.snapshot`.
    """
    close = [
        (ChunkRow.revision_id == chunk.revision_id)
        & ChunkRow.ordinal.between(chunk.span.ordinal - reach, chunk.span.ordinal + reach)
        for chunk in chunks
    ]
    query = (
        select(ChunkRow.__table__, Revision.text_blob)
        .join(Revision, Revision.id == ChunkRow.revision_id)
        .where(ChunkRow.cut == cut, or_(false(), *close), Revision.store_id == view.store_id)
        .where(readable(view.snapshot_id), Revision.text_blob.is_not(None))
        .order_by(ChunkRow.revision_id, ChunkRow.ordinal)
    )
    found: dict[str, Surroundings] = {}
    for revision_id, of in groupby(connection.execute(query), key=lambda row: row.revision_id):
        rows = list(of)
        found[revision_id] = Surroundings(tuple(chunk_of(row) for row in rows), rows[0].text_blob)
    return found
