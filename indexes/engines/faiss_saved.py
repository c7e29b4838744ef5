"""The rows of a main part as files beside it: who they are, and their attributes."""

import json
from pathlib import Path

import numpy as np

from indexes.engines.faiss_files import BadPart
from indexes.engines.faiss_part import Part
from indexes.engines.faiss_rows import Snapshot, Table
from indexes.engines.faiss_scan import Numbers

_ROWS, _GROUPS = "rows.npz", "groups.json"


def write_rows(folder: Path, now: Snapshot, kept: Numbers) -> None:
    """The rows `kept` of a snapshot, with the groups that they are in."""
    used, groups = np.unique(now.groups[kept], return_inverse=True)
    np.savez(folder / _ROWS, chunks=now.chunks[kept], groups=groups.astype(np.int32), alive=now.alive[kept])
    named = [(now.revisions[group], now.attributes[group]) for group in used.tolist()]
    (folder / _GROUPS).write_text(json.dumps(named))


def read_table(folder: Path, dimension: int) -> Table:
    """The part with its rows, and an empty delta. Raises BadPart, and what its readers raise."""
    table = Table(dimension)
    table.part = Part.read(folder)
    for revision_id, attributes in json.loads((folder / _GROUPS).read_text()):
        table.group(revision_id, attributes)
    with np.load(folder / _ROWS) as rows:
        table.chunks.reset(rows["chunks"])
        table.groups.reset(rows["groups"])
        table.alive.reset(rows["alive"])
    counts = {len(column) for column in (table.chunks, table.groups, table.alive)}
    if counts != {table.main}:
        raise BadPart(f"{folder.name}: {table.main} vectors, and {sorted(counts)} rows")
    return table
