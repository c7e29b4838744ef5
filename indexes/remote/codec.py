"""Points, filters, matches, vectors and errors as JSON, and back.

Vectors travel as base64 of little-endian float32: exact, and over ten times faster than lists of numbers.
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from indexes import errors
from indexes.errors import CitewellError, Overloaded
from indexes.filters import AllOf, AnyOf, Comparison, Filter, Operator, is_number
from indexes.model import Attributes, AttributeValue, Match, Page, Point, SparseVector, Vector

Json = dict[str, Any]

_FLOAT32 = np.dtype("<f4")
_ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CitewellError)
}


def pack_vectors(vectors: Vector) -> Json:
    """An array of shape (rows, dimension)."""
    data = np.ascontiguousarray(vectors, dtype=_FLOAT32)
    return {"dimension": data.shape[1], "data": base64.b64encode(data.tobytes()).decode("ascii")}


def unpack_vectors(data: Json) -> Vector:
    """The inverse of `pack_vectors`."""
    flat = np.frombuffer(base64.b64decode(data["data"]), dtype=_FLOAT32)
    return flat.astype(np.float32, copy=False).reshape(-1, data["dimension"])


def pack_points(points: Sequence[Point]) -> Json:
    """Points whose vectors are of one dimension; at least one."""
    return {
        "chunk_ids": [point.chunk_id for point in points],
        "revision_ids": [point.revision_id for point in points],
        "vectors": pack_vectors(np.stack([point.vector for point in points])),
        "sparse": [pack_sparse(point.sparse) for point in points],
        "attributes": [pack_attributes(point.attributes) for point in points],
    }


def unpack_points(data: Json) -> list[Point]:
    """The inverse of `pack_points`."""
    columns = (data["chunk_ids"], data["revision_ids"], unpack_vectors(data["vectors"]), data["sparse"])
    return [
        Point(chunk_id, revision_id, vector, unpack_sparse(sparse), attributes)
        for chunk_id, revision_id, vector, sparse, attributes in zip(*columns, data["attributes"], strict=True)
    ]


def pack_page(page: Page) -> Json:
    """By column."""
    return {
        "chunk_ids": page.chunk_ids,
        "revision_ids": page.revision_ids,
        "attributes": [pack_attributes(each) for each in page.attributes],
        "vectors": pack_vectors(page.vectors),
        "next": page.next,
    }


def unpack_page(data: Json) -> Page:
    """The inverse of `pack_page`."""
    return Page(
        data["chunk_ids"], data["revision_ids"], data["attributes"], unpack_vectors(data["vectors"]), data["next"]
    )


def pack_sparse(terms: SparseVector) -> list[Sequence[float]]:
    """Indices, then values."""
    return [terms.indices, terms.values]


def unpack_sparse(data: list[list[Any]]) -> SparseVector:
    """The inverse of `pack_sparse`."""
    indices, values = data
    return SparseVector(tuple(indices), tuple(values))


def pack_attributes(attributes: Attributes) -> Json:
    """Numbers in double precision, as every engine compares them."""
    return {key: _plain(value) for key, value in attributes.items()}


def pack_filter(where: Filter | None) -> Json | None:
    """`{"all": […]}`, `{"any": […]}`, or a comparison's three fields."""
    match where:
        case None:
            return None
        case AllOf(parts):
            return {"all": [pack_filter(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [pack_filter(part) for part in parts]}
        case Comparison(key, relation, value):
            plain = [_plain(one) for one in value] if isinstance(value, tuple) else _plain(value)
            return {"key": key, "operator": relation.value, "value": plain}


def unpack_filter(data: Json | None) -> Filter | None:
    """The inverse of `pack_filter`."""
    return None if data is None else _filter(data)


def pack_matches(matches: Sequence[Match]) -> list[tuple[str, str, float]]:
    """In their order."""
    return [(match.chunk_id, match.revision_id, match.score) for match in matches]


def unpack_matches(data: list[list[Any]]) -> list[Match]:
    """The inverse of `pack_matches`."""
    return [Match(*row) for row in data]


def pack_error(error: CitewellError) -> Json:
    """An error of the tree, by the name of its class."""
    packed = {"kind": type(error).__name__, "message": error.message, "code": error.code, "param": error.param}
    return {**packed, "retry_after_s": error.retry_after_s} if isinstance(error, Overloaded) else packed


def unpack_error(data: Json) -> CitewellError:
    """The inverse of `pack_error`. Raises LookupError for a class that this release does not have."""
    kind = _ERRORS[data["kind"]]
    if kind is Overloaded:
        return Overloaded(data["message"], retry_after_s=data["retry_after_s"])
    return kind(data["message"], code=data["code"], param=data["param"])


def _filter(data: Json) -> Filter:
    match data:
        case {"all": parts}:
            return AllOf(tuple(map(_filter, parts)))
        case {"any": parts}:
            return AnyOf(tuple(map(_filter, parts)))
    value = data["value"]
    return Comparison(data["key"], Operator(data["operator"]), tuple(value) if isinstance(value, list) else value)


def _plain(value: AttributeValue) -> AttributeValue:
    return float(value) if is_number(value) else value
