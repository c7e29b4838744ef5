"""Builds the graph and the field indexes of a shard, as a program of its own: `optimise_shard.py SHARD [FIELD …]`.

`EdgeShard.optimize` holds the GIL from start to end, 4 s for 10,000 chunks: in the service's process nothing else
would run. The service gives this program a copy of the shard to work on.
"""

import os
import sys

from qdrant_edge import EdgeShard, PayloadSchemaType, UpdateOperation


def main(path: str, number_fields: list[str]) -> None:
    """Optimise the shard at `path`. Durable when it returns."""
    os.nice(10)
    shard = EdgeShard.load(path)
    for field in number_fields:
        shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Float))
    shard.optimize()
    shard.flush()
    shard.close()
    _sync_tree(path)


def _sync_tree(root: str) -> None:
    """The copy was made without syncing, and the shard syncs only what it changed."""
    for folder, _, files in os.walk(root):
        for name in [*files, "."]:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)  # noqa: PTH118
            os.fsync(descriptor)
            os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
