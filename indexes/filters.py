"""Attribute filters: the OpenAI form as a small tree, and what it means.

A comparison holds for a document whose attribute has the same type (a number, a string, a boolean) and stands in that
relation. A missing attribute, or one of another type, satisfies `ne` and `nin` and nothing else.
Source of the form: the OpenAI API reference, vector store search, `filters`.
"""

from dataclasses import dataclass
from enum import StrEnum

from indexes.model import AttributeValue


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
