"""Golden sets: queries with what a good search finds for them. A value; read from and written to JSON lines.

One query a line, grades of relevance by document key, by chunk id, or both; a plain list means grade 1:

    {"id": "leave-1", "query": "How many days of leave?", "relevant": {"keys": {"hr/leave.md": 2, "hr/faq.md": 1}}}
    {"id": "leave-2", "query": "Who approves leave?", "relevant": {"keys": ["hr/leave.md"], "chunks": ["chk_…"]}}
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from evaluation.measures import Grades
from indexes.errors import InvalidRequest
from indexes.settings import Section

MAX_QUERIES = 5_000  # every one is searched for in both versions whenever they are compared


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """One query. `keys` grades documents, `chunks` chunks; at least one of the two has a grade above 0."""

    id: str
    text: str
    keys: Grades = field(default_factory=dict)
    chunks: Grades = field(default_factory=dict)

    @property
    def relevant(self) -> bool:
        """Whether anything is graded above 0."""
        return any(grade > 0 for grades in (self.keys, self.chunks) for grade in grades.values())

    def known(self, keys: Collection[str], chunks: Collection[str]) -> "GoldenQuery":
        """With the grades of these documents and chunks alone."""
        return replace(self, keys=_of(self.keys, keys), chunks=_of(self.chunks, chunks))

    def to_json(self) -> dict[str, Any]:
        """As JSON data, grades by id in the order of the ids."""
        relevant = {"keys": self.keys, "chunks": self.chunks}
        graded = {name: dict(sorted(grades.items())) for name, grades in relevant.items() if grades}
        return {"id": self.id, "query": self.text, "relevant": graded}


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Queries with distinct ids, in the order they were written."""

    queries: tuple[GoldenQuery, ...]

    @classmethod
    def read(cls, lines: bytes) -> "GoldenSet":
        """From UTF-8 JSON lines; empty ones are skipped. Raises InvalidRequest that names the first line at fault."""
        queries: dict[str, GoldenQuery] = {}
        # Bytes, for a string would be cut at the line separators that JSON allows inside its strings.
        for number, line in enumerate(lines.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
            if not line.strip():
                continue
            query = _read(number, line)
            if query.id in queries:
                raise _refused(number, f"the id {query.id!r} is that of an earlier query; give every query its own")
            queries[query.id] = query
            if len(queries) > MAX_QUERIES:
                raise _refused(number, f"a golden set holds {MAX_QUERIES} queries at most; send a sample of them")
        if not queries:
            raise InvalidRequest("The golden set is empty: send one query a line.", param="golden_set")
        return cls(tuple(queries.values()))

    def write(self) -> bytes:
        """As JSON lines, which `read` takes back to an equal value."""
        return b"".join(_line(query) + b"\n" for query in self.queries)

    @property
    def hash(self) -> str:
        """SHA-256 of what it says: equal exactly where the queries and grades are, in whatever order."""
        return hashlib.sha256(b"\n".join(sorted(map(_line, self.queries)))).hexdigest()


def _of(grades: Grades, names: Collection[str]) -> Grades:
    return {name: grade for name, grade in grades.items() if name in names}


def _graded(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, 1.0)
    return value


def _storable(value: str) -> str:
    # PostgreSQL cannot store U+0000.
    if "\0" in value or not value.strip():
        raise PydanticCustomError("text", "must be text, not only white space, and without U+0000")
    return value


_Text = AfterValidator(_storable)
_Id = Annotated[str, Field(max_length=512), _Text]
_Grade = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_Graded = Annotated[Mapping[_Id, _Grade], BeforeValidator(_graded)]


class _Relevant(Section):
    keys: _Graded = Field(default_factory=dict)
    chunks: _Graded = Field(default_factory=dict)


class _Line(Section):
    id: _Id
    query: Annotated[str, Field(max_length=4_096), _Text]
    relevant: _Relevant


def _read(number: int, line: bytes) -> GoldenQuery:
    try:
        read = _Line.model_validate_json(line)
    except ValidationError as error:
        raise _refused(number, _sentence(error)) from error
    keys, chunks = dict(read.relevant.keys), dict(read.relevant.chunks)
    if not any(grade > 0 for grade in (*keys.values(), *chunks.values())):
        raise _refused(number, "nothing is relevant; name a key or a chunk that a good search finds, or leave it out")
    return GoldenQuery(read.id, read.query, keys, chunks)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"`{field}`: {first['msg']}" if field else first["msg"]


def _refused(number: int, reason: str) -> InvalidRequest:
    return InvalidRequest(f"Line {number} of the golden set cannot be read: {reason}.", param="golden_set")


def _line(query: GoldenQuery) -> bytes:
    return json.dumps(query.to_json(), ensure_ascii=False).encode()
