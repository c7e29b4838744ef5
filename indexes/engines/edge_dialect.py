"""Filters in the classes of qdrant_edge."""

from collections.abc import Sequence

from qdrant_edge import FieldCondition, Filter, MatchAny, RangeFloat

from indexes.filters import Operator


class EdgeDialect:
    """A `Dialect` of points."""

    def group(
        self, must: Sequence[Filter] = (), should: Sequence[Filter] = (), must_not: Sequence[Filter] = ()
    ) -> Filter:
        return Filter(must=list(must), should=list(should) or None, must_not=list(must_not))

    def one_of(self, field: str, values: Sequence[str]) -> Filter:
        return Filter(must=[FieldCondition(key=field, match=MatchAny(any=list(values)))])

    def bounded(self, field: str, relation: Operator, bound: float) -> Filter:
        return Filter(must=[FieldCondition(key=field, range=RangeFloat(**{relation.value: bound}))])
