"""Attribute filters: the OpenAI form as a small tree, and what it means.

A comparison holds for a document whose attribute has the same type (a number, a string, a boolean) and stands in that
relation. A missing attribute, or one of another type, satisfies `ne` and `nin` and nothing else.
Source of the form: the OpenAI API reference, vector store search, `filters`. `api/wire/filters.py` reads it.
"""

import operator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

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
