"""How Qdrant, embedded or as a server, holds a point, and how a filter is asked of it.

A payload has three fields, all indexed, whatever the attributes are called:

- `revision_id`;
- `tokens`: each attribute as one string of JSON, `["author", "Ada"]`. Equality is then one look-up in one index, types
  stay distinct, and a key may hold any character;
- `numbers`: each number again under its encoded key, for `gt`, `gte`, `lt`, `lte`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import numpy as np

from indexes.errors import InvalidRequest
from indexes.filters import AllOf, AnyOf, Comparison, Filter, Operator, is_number
from indexes.model import Attributes, AttributeValue, Match, Page, Vector

DENSE, LEXICAL = "dense", "lexical"
REVISION, TOKENS = "revision_id", "tokens"
PAGE_POINTS = 256  # of one page with vectors: reading it holds the GIL, about 10 ms here
NUMBER_FIELDS = 64  # indexed at most: a store of free-form keys must not grow an index for each
_NUMBERS = "numbers"
_CHUNK = "chunk_"

Clause = TypeVar("Clause")


class Record(Protocol):
    """What both libraries read back of a point."""

    @property
    def id(self) -> UUID | str | int:
        """Of the point."""

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """As `payload` made it."""

    @property
    def vector(self) -> object:
        """By name."""


class Dialect(Protocol[Clause]):
    """The classes in which one library writes filters; a clause is a filter of its own, so clauses nest."""

    def group(
        self, must: Sequence[Clause] = (), should: Sequence[Clause] = (), must_not: Sequence[Clause] = ()
    ) -> Clause:
        """All of `must`, at least one of `should` if there are any, none of `must_not`."""

    def one_of(self, field: str, values: Sequence[str]) -> Clause:
        """The field holds at least one of the values; false where there are none."""

    def bounded(self, field: str, relation: Operator, bound: float) -> Clause:
        """The field is a number in that relation to the bound."""


def point_id(chunk_id: str) -> UUID:
    """The point of a chunk: the 32 hexadecimal digits of its id. Raises InvalidRequest for an id of another form."""
    try:
        if chunk_id.startswith(_CHUNK):
            return UUID(hex=chunk_id.removeprefix(_CHUNK))
    except ValueError:
        pass
    raise InvalidRequest(f"{chunk_id!r} is not the id of a chunk: `chunk_` and 32 hexadecimal digits.")


def chunk_id(point: UUID | str | int) -> str:
    """The inverse of `point_id`."""
    return _CHUNK + (point if isinstance(point, UUID) else UUID(str(point))).hex


def chunk_number(chunk_id: str) -> bytes:
    """The 16 bytes of the id of a chunk. Raises InvalidRequest for an id of another form."""
    return point_id(chunk_id).bytes


def chunk_ids(numbers: bytes) -> list[str]:
    """The ids of chunks by the inverse of `chunk_number`, one number behind the other."""
    digits = numbers.hex()
    return [_CHUNK + digits[at : at + 32] for at in range(0, len(digits), 32)]


def dense_vector(stored: object) -> Vector:
    """The dense one of the named vectors of a record that was read back."""
    assert isinstance(stored, Mapping)
    return np.asarray(stored[DENSE], dtype=np.float32)


def payload(revision_id: str, attributes: Attributes) -> dict[str, object]:
    """What is stored beside the vectors of a point."""
    return {
        REVISION: revision_id,
        TOKENS: [_token(key, value) for key, value in attributes.items()],
        _NUMBERS: {_encoded(key): float(value) for key, value in attributes.items() if is_number(value)},
    }


def page(records: Sequence[Record], dimension: int, following: UUID | str | int | None) -> Page:
    """What was read back with payloads and dense vectors; `following` is the point that comes next."""
    payloads = [record.payload or {} for record in records]
    vectors = np.array([dense_vector(record.vector) for record in records], dtype=np.float32)
    return Page(
        [chunk_id(record.id) for record in records],
        [str(each[REVISION]) for each in payloads],
        [dict(json.loads(token) for token in each[TOKENS]) for each in payloads],
        vectors.reshape(len(records), dimension),
        None if following is None else chunk_id(following),
    )


def number_fields(attributes: Attributes) -> set[str]:
    """The payload fields on which these attributes can be compared by size."""
    return {_number_field(key) for key, value in attributes.items() if is_number(value)}


def filter_clause(dialect: Dialect[Clause], where: Filter | None, hidden: Sequence[str]) -> Clause | None:
    """What a search may find: `where` holds and the revision is not hidden. None if that is everything."""
    if where is None and not hidden:
        return None
    must = [] if where is None else [_clause(dialect, where)]
    return dialect.group(must=must, must_not=[dialect.one_of(REVISION, hidden)] if hidden else [])


def ranked(matches: list[Match]) -> list[Match]:
    """Best first. Among equal scores the order is by id; which of them made the limit is the engine's choice."""
    return sorted(matches, key=lambda match: (-match.score, match.chunk_id))


def _clause(dialect: Dialect[Clause], where: Filter) -> Clause:
    match where:
        case AllOf(parts):
            return dialect.group(must=[_clause(dialect, part) for part in parts])
        case AnyOf(()):
            return dialect.one_of(TOKENS, [])
        case AnyOf(parts):
            return dialect.group(should=[_clause(dialect, part) for part in parts])
        case Comparison():
            return _comparison(dialect, where)


def _comparison(dialect: Dialect[Clause], where: Comparison) -> Clause:
    values = where.value if isinstance(where.value, tuple) else (where.value,)
    if where.operator in (Operator.EQ, Operator.IN):
        return dialect.one_of(TOKENS, [_token(where.key, value) for value in values])
    if where.operator in (Operator.NE, Operator.NIN):
        return dialect.group(must_not=[dialect.one_of(TOKENS, [_token(where.key, value) for value in values])])
    if not is_number(where.value):
        return dialect.one_of(TOKENS, [])  # nothing is greater or less than what is no number
    return dialect.bounded(_number_field(where.key), where.operator, float(where.value))


def _token(key: str, value: AttributeValue) -> str:
    # Adding zero turns -0.0 into 0.0: equal numbers must give equal tokens.
    return json.dumps([key, float(value) + 0.0 if is_number(value) else value])


def _number_field(key: str) -> str:
    return f"{_NUMBERS}.{_encoded(key)}"


def _encoded(key: str) -> str:
    """A key as letters and digits: a dot, a quote or a bracket would read as a path."""
    return "k" + key.encode("utf-8", "surrogatepass").hex()
