"""Attributes by column: a filter becomes one boolean for each group of points, in a few array operations.

A group is a revision with one set of attributes. Groups are only ever added: points whose attributes change move to
another group, so what a reader holds never changes under it. The meaning is that of `indexes.filters.matches`.
"""

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexes.engines.growing import Growing
from indexes.filters import AllOf, AnyOf, Comparison, Filter, Operator, is_number
from indexes.model import Attributes, AttributeValue

Groups = NDArray[np.bool_]

_BOOLEAN, _NUMBER, _STRING = range(3)
_ORDERED = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}


class _Column:
    """The values of one key: parallel arrays, one entry for each group that has the key."""

    def __init__(self) -> None:
        self.groups = Growing(np.int32)
        self.kinds = Growing(np.int8)
        self.values = Growing(np.float64)  # strings by their number in the dictionary


class AttributeColumns:
    """One writer at a time; readers of a number of groups see those as they are."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._strings: dict[str, int] = {}

    def add(self, group: int, attributes: Attributes) -> None:
        """The attributes of a group, whose number is greater than those before."""
        for key, value in attributes.items():
            column = self._columns.setdefault(key, _Column())
            kind, number = self._encoded(value)
            column.values.extend([number])
            column.kinds.extend([kind])
            column.groups.extend([group])  # last: a reader takes as many entries as this one has

    def allowed(self, where: Filter, groups: int) -> Groups:
        """For which of the first so many groups the filter holds. Shape (groups,)."""
        match where:
            case AllOf(parts):
                every = np.ones(groups, dtype=np.bool_)
                for part in parts:
                    every &= self.allowed(part, groups)
                return every
            case AnyOf(parts):
                some = np.zeros(groups, dtype=np.bool_)
                for part in parts:
                    some |= self.allowed(part, groups)
                return some
            case Comparison():
                return self._compared(where, groups)

    def _compared(self, where: Comparison, groups: int) -> Groups:
        found = np.zeros(groups, dtype=np.bool_)
        if column := self._columns.get(where.key):
            of = column.groups.view()
            count = int(np.searchsorted(of, groups))
            hits = self._hits(where, column.kinds.view()[:count], column.values.view()[:count])
            found[of[:count][hits]] = True
        return ~found if where.operator in (Operator.NE, Operator.NIN) else found

    def _hits(self, where: Comparison, kinds: NDArray[np.int8], values: NDArray[np.float64]) -> Groups:
        if where.operator in _ORDERED:
            if not is_number(where.value):
                return np.zeros(len(kinds), dtype=np.bool_)
            ordered: Groups = _ORDERED[where.operator](values, float(where.value))
            ordered &= kinds == _NUMBER
            return ordered
        wanted = where.value if isinstance(where.value, tuple) else (where.value,)
        found = np.zeros(len(kinds), dtype=np.bool_)
        for kind, numbers in self._by_kind(wanted).items():
            found |= (kinds == kind) & (values == numbers[0] if len(numbers) == 1 else np.isin(values, numbers))
        return found

    def _by_kind(self, wanted: Sequence[AttributeValue]) -> dict[int, list[float]]:
        numbers: dict[int, list[float]] = {}
        for value in wanted:
            if not isinstance(value, str) or value in self._strings:
                kind, number = self._encoded(value)
                numbers.setdefault(kind, []).append(number)
        return numbers

    def _encoded(self, value: AttributeValue) -> tuple[int, float]:
        if isinstance(value, bool):
            return _BOOLEAN, float(value)
        if isinstance(value, str):
            return _STRING, float(self._strings.setdefault(value, len(self._strings)))
        return _NUMBER, float(value)
