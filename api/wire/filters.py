"""Attribute filters as OpenAI writes them. Their meaning is in `indexes/filters.py`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from api.wire.base import MAX_KEY_CHARS, MAX_VALUE_CHARS, STORABLE, RequestModel
from indexes.filters import AllOf, AnyOf, Comparison, Filter, Operator
from indexes.model import AttributeValue

MAX_FILTER_DEPTH = 8
MAX_COMPARISONS = 256

_Value = Annotated[str, Field(max_length=MAX_VALUE_CHARS), STORABLE] | float | bool


class ComparisonFilter(RequestModel):
    """One attribute compared with a value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"] = Field(
        description="How to compare. `gt`, `gte`, `lt`, `lte` take a number; `in`, `nin` a list; `eq`, `ne` one value."
    )
    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS), STORABLE] = Field(description="The attribute.")
    value: _Value | Annotated[list[_Value], Field(max_length=1000)] = Field(description="What to compare it with.")

    @model_validator(mode="after")
    def _value_fits_type(self) -> Self:
        is_list = isinstance(self.value, list)
        if is_list != (self.type in ("in", "nin")):
            wanted = "one value" if is_list else "a list of values"
            raise PydanticCustomError("invalid_value", f"has the type `{self.type}`, which takes {wanted}")
        if self.type in ("gt", "gte", "lt", "lte") and type(self.value) is not float:
            raise PydanticCustomError("invalid_value", f"has the type `{self.type}`, which takes a number")
        return self


class CompoundFilter(RequestModel):
    """Filters joined."""

    type: Literal["and", "or"] = Field(description="`and`: all must hold; `or`: at least one.")
    filters: list["FilterNode"] = Field(min_length=1, max_length=100, description="What is joined.")


FilterNode = Annotated[ComparisonFilter | CompoundFilter, Field(discriminator="type")]


def _bounded(node: ComparisonFilter | CompoundFilter) -> ComparisonFilter | CompoundFilter:
    depth, comparisons = _size(node)
    if depth > MAX_FILTER_DEPTH:
        raise PydanticCustomError("invalid_value", f"is nested {depth} deep; the most is {MAX_FILTER_DEPTH}")
    if comparisons > MAX_COMPARISONS:
        raise PydanticCustomError("invalid_value", f"has {comparisons} comparisons; the most is {MAX_COMPARISONS}")
    return node


def _size(node: ComparisonFilter | CompoundFilter) -> tuple[int, int]:
    if isinstance(node, ComparisonFilter):
        return 1, 1
    sizes = [_size(part) for part in node.filters]
    return 1 + max(depth for depth, _ in sizes), sum(comparisons for _, comparisons in sizes)


Filters = Annotated[FilterNode, AfterValidator(_bounded)]


def to_filter(node: ComparisonFilter | CompoundFilter | None) -> Filter | None:
    """The filter as the indexes know it."""
    match node:
        case None:
            return None
        case ComparisonFilter():
            value: AttributeValue | tuple[AttributeValue, ...] = (
                tuple(node.value) if isinstance(node.value, list) else node.value
            )
            return Comparison(node.key, Operator(node.type), value)
        case CompoundFilter():
            parts = tuple(part for part in map(to_filter, node.filters) if part is not None)
            return AllOf(parts) if node.type == "and" else AnyOf(parts)
