"""Builds the graph and the field indexes of a shard, as a program of its own: `optimise_shard.py SHARD NAME [FIELD …]`.

Prints what the graph takes to find the nearest of the vectors called NAME, as JSON: {"ten": …, "hundred": …}.

`EdgeShard.optimize` holds the GIL from start to end, 4 s for 10,000 chunks: in the service's process nothing else
would run. The service gives this program a copy of the shard to work on.
"""

import json
import os
import sys
from uuid import UUID

from qdrant_edge import (
    EdgeShard,
    PayloadSchemaType,
    Query,
    QueryRequest,
    Record,
    ScrollRequest,
    SearchParams,
    UpdateOperation,
)

Id = int | UUID | str

_LADDER = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_QUESTIONS = 100
_RECALL = 0.999
"""Aimed at with stored points as questions, which the graph leads to: others find 98 to 99.6 % then. A millisecond saved
here is nothing beside the embedding of a question."""


def main(path: str, vectors: str, number_fields: list[str]) -> None:
    """Optimise the shard at `path`. Durable when it returns."""
    os.nice(10)
    shard = EdgeShard.load(path)
    for field in number_fields:
        shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Float))
    shard.optimize()
    shard.flush()
    print(json.dumps({"ten": _effort(shard, vectors, 10), "hundred": _effort(shard, vectors, 100)}))  # noqa: T201
    shard.close()
    _sync_tree(path)


def _effort(shard: EdgeShard, vectors: str, count: int) -> int:
    """The least that finds so many neighbours."""
    points, _ = shard.scroll(ScrollRequest(limit=_QUESTIONS, with_payload=False, with_vector=[vectors]))
    exact = [_nearest(shard, vectors, point, count, SearchParams(exact=True)) for point in points]
    wanted = _RECALL * sum(map(len, exact))
    for effort in _LADDER:
        walk = SearchParams(hnsw_ef=effort)
        found = [_nearest(shard, vectors, point, count, walk) for point in points]
        if sum(len(true & some) for true, some in zip(exact, found, strict=True)) >= wanted:
            return effort
    return _LADDER[-1]


def _nearest(shard: EdgeShard, vectors: str, point: Record, count: int, params: SearchParams) -> set[Id]:
    query = Query.Nearest(point.vector[vectors], using=vectors)  # type: ignore[index, call-overload]
    request = QueryRequest(query=query, limit=count + 1, params=params)
    return {hit.id for hit in shard.query(request)} - {point.id}


def _sync_tree(root: str) -> None:
    """The copy was made without syncing, and the shard syncs only what it changed."""
    for folder, _, files in os.walk(root):
        for name in [*files, "."]:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)  # noqa: PTH118
            os.fsync(descriptor)
            os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
