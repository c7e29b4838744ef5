"""What other processes may ask of the engine: each operation from its JSON to the call, and back."""

from collections.abc import Callable, Mapping

import numpy as np

from indexes.index import Engine, Index
from indexes.manifest import Manifest
from indexes.remote.codec import (
    Json,
    pack_matches,
    pack_page,
    pack_vectors,
    unpack_filter,
    unpack_points,
    unpack_sparse,
    unpack_vectors,
)

Operation = Callable[[Engine, Json], object]


def _open(engine: Engine, body: Json) -> None:
    _index(engine, body)


def _dense(engine: Engine, body: Json) -> object:
    (vector,) = unpack_vectors(body["vector"])
    where = unpack_filter(body["where"])
    index = _index(engine, body)
    found = index.dense(vector, body["limit"], where, body["hidden"], exact=body["exact"])
    return {"matches": pack_matches(found), "how": found.how}


def _lexical(engine: Engine, body: Json) -> object:
    where = unpack_filter(body["where"])
    found = _index(engine, body).lexical(unpack_sparse(body["terms"]), body["limit"], where, body["hidden"])
    return pack_matches(found)


def _chunk_ids(engine: Engine, body: Json) -> object:
    return list(_index(engine, body).chunk_ids(body["revision_id"]))


def _count(engine: Engine, body: Json) -> object:
    return _index(engine, body).count()


def _inventory(engine: Engine, body: Json) -> object:
    return _index(engine, body).inventory()


def _page(engine: Engine, body: Json) -> object:
    return pack_page(_index(engine, body).page(body["start"], body["revision_ids"]))


def _vectors(engine: Engine, body: Json) -> object:
    manifest = Manifest.from_json(body["manifest"])
    found = engine.open(body["version_id"], manifest).vectors(body["chunk_ids"])
    rows = np.array(list(found.values()), dtype=np.float32).reshape(-1, manifest.embedding.dimension)
    return {"chunk_ids": list(found), "vectors": pack_vectors(rows)}


def _create(engine: Engine, body: Json) -> None:
    engine.create(body["version_id"], Manifest.from_json(body["manifest"]))


def _drop(engine: Engine, body: Json) -> None:
    engine.drop(body["version_id"])


def _upsert(engine: Engine, body: Json) -> None:
    _index(engine, body).upsert(unpack_points(body["points"]))


def _delete(engine: Engine, body: Json) -> None:
    _index(engine, body).delete(body["revision_id"])


def _set_attributes(engine: Engine, body: Json) -> None:
    _index(engine, body).set_attributes(body["revision_id"], body["attributes"])


def _index(engine: Engine, body: Json) -> Index:
    return engine.open(body["version_id"], Manifest.from_json(body["manifest"]))


READS: Mapping[str, Operation] = {
    "open": _open,
    "dense": _dense,
    "lexical": _lexical,
    "chunk_ids": _chunk_ids,
    "count": _count,
    "inventory": _inventory,
    "page": _page,
    "vectors": _vectors,
}
WRITES: Mapping[str, Operation] = {
    "create": _create,
    "drop": _drop,
    "upsert": _upsert,
    "delete": _delete,
    "set_attributes": _set_attributes,
}
