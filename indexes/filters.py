"""Attribute filters: the OpenAI form as a small tree, and what it means.

A comparison holds for a document whose attribute has the same type (a number, a string, a boolean) and stands in that
relation. A missing attribute, or one of another type, satisfies `ne` and `nin` and nothing else.
Source of the form: the OpenAI API reference, vector store search, `filters`.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from indexes.errors import InvalidRequest
from indexes.model import Attributes, AttributeValue


class Operator(StrEnum):
    """How an attribute is compared."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`key operator value`; `value` is a tuple for `in` and `nin`, one value for the others; `gt…lte` take numbers."""

    key: str
    operator: Operator
    value: AttributeValue | tuple[AttributeValue, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Filter", ...]


Filter = Comparison | AllOf | AnyOf

_MAX_DEPTH = 8  # and/or inside and/or; programs that write filters stay under 4
_MAX_COMPARISONS = 256
_MAX_VALUES = 1000  # of one `in` or `nin`
_MAX_KEY, _MAX_TEXT = 64, 512  # what an attribute may have: longer ones can never match
_ORDERED = {Operator.GT: operator.gt, Operator.GTE: operator.ge, Operator.LT: operator.lt, Operator.LTE: operator.le}


def matches(where: Filter, attributes: Attributes) -> bool:
    """Whether `where` holds for a document with these attributes."""
    match where:
        case AllOf(parts):
            return all(matches(part, attributes) for part in parts)
        case AnyOf(parts):
            return any(matches(part, attributes) for part in parts)
        case Comparison(key, relation, value):
            return _holds(attributes.get(key), relation, value)


def is_number(value: object) -> TypeGuard[float]:
    """Whether an attribute is compared as a number: a boolean is not, though Python counts it as one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse(data: object, param: str = "filters") -> Filter:
    """The filter that a request carries in the OpenAI form.

    Raises InvalidRequest, whose `param` is the path of the part at fault, such as `filters.filters[1].value`.
    """
    where = _parse(data, param, depth=1)
    if (count := _comparisons(where)) > _MAX_COMPARISONS:
        raise InvalidRequest(f"The filter has {count} comparisons; {_MAX_COMPARISONS} are allowed.", param=param)
    return where


def _holds(
    actual: AttributeValue | None, relation: Operator, value: AttributeValue | tuple[AttributeValue, ...]
) -> bool:
    actual = _comparable(actual)
    if relation in _ORDERED:
        return is_number(actual) and is_number(value) and _ORDERED[relation](actual, float(value))
    among = value if isinstance(value, tuple) else (value,)
    found = any(type(wanted) is type(actual) and wanted == actual for wanted in map(_comparable, among))
    return found is (relation in (Operator.EQ, Operator.IN))


def _comparable(value: AttributeValue | None) -> AttributeValue | None:
    """Numbers in double precision, as every engine stores them; the rest as it is."""
    return float(value) if is_number(value) else value


def _comparisons(where: Filter) -> int:
    return 1 if isinstance(where, Comparison) else sum(map(_comparisons, where.parts))


def _parse(data: object, param: str, depth: int) -> Filter:
    if not isinstance(data, Mapping):
        raise InvalidRequest("A filter is an object with a `type`.", param=param)
    match data.get("type"):
        case "and" | "or" as kind:
            parts = _parts(data, param, depth)
            return AllOf(parts) if kind == "and" else AnyOf(parts)
        case kind if kind in list(Operator):
            return _comparison(data, Operator(kind), param)
        case unknown:
            allowed = ", ".join(["and", "or", *Operator])
            raise InvalidRequest(
                f"{unknown!r:.40} is not a type of filter. Use one of: {allowed}.", param=f"{param}.type"
            )


def _require_fields(data: Mapping[object, object], names: tuple[str, ...], param: str) -> None:
    for expected in names:
        if expected not in data:
            raise InvalidRequest(f"This filter needs `{expected}`.", param=f"{param}.{expected}")
    for name in data:
        if name != "type" and name not in names:
            raise InvalidRequest(f"This filter has no field `{name!s:.40}`.", param=f"{param}.{name!s:.40}")


def _parts(data: Mapping[object, object], param: str, depth: int) -> tuple[Filter, ...]:
    _require_fields(data, ("filters",), param)
    parts, param = data["filters"], f"{param}.filters"
    if not isinstance(parts, list) or not parts:
        raise InvalidRequest("`filters` is a list of at least one filter.", param=param)
    if depth > _MAX_DEPTH:
        raise InvalidRequest(f"Filters may be nested {_MAX_DEPTH} deep.", param=param)
    return tuple(_parse(part, f"{param}[{number}]", depth + 1) for number, part in enumerate(parts))


def _comparison(data: Mapping[object, object], relation: Operator, param: str) -> Comparison:
    _require_fields(data, ("key", "value"), param)
    key, value = data["key"], data["value"]
    if not isinstance(key, str) or not 1 <= len(key) <= _MAX_KEY:
        raise InvalidRequest(f"`key` is a string of 1 to {_MAX_KEY} characters.", param=f"{param}.key")
    param = f"{param}.value"
    if relation in _ORDERED:
        return Comparison(key, relation, _number(value, param))
    if relation not in (Operator.IN, Operator.NIN):
        return Comparison(key, relation, _value(value, param))
    if not isinstance(value, list) or len(value) > _MAX_VALUES:
        raise InvalidRequest(f"`value` of `{relation}` is a list of at most {_MAX_VALUES} values.", param=param)
    return Comparison(key, relation, tuple(_value(item, f"{param}[{number}]") for number, item in enumerate(value)))


def _value(value: object, param: str) -> AttributeValue:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return _number(value, param, "a string, a number or a boolean")
    if len(value) > _MAX_TEXT:
        raise InvalidRequest(f"A filter compares with at most {_MAX_TEXT} characters.", param=param)
    return value


def _number(value: object, param: str, expected: str = "a number") -> float:
    try:
        if is_number(value) and math.isfinite(number := float(value)):
            return number
    except OverflowError:
        pass
    raise InvalidRequest(f"This filter compares with {expected}.", param=param)
