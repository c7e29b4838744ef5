"""Columns mean what `matches` means."""

from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.engines.attribute_columns import AttributeColumns
from indexes.filters import AllOf, AnyOf, Comparison, Operator, matches

keys = st.sampled_from(["a", "b", "c.d"])
values = st.sampled_from(["", "1", "true", "ä", True, False, 0, 1, -0.0, 1.5, 2**53, 2**53 + 1, -1e300])
several = [Operator.IN, Operator.NIN]
single = [operator for operator in Operator if operator not in several]
comparisons = st.builds(Comparison, keys, st.sampled_from(single), values) | st.builds(
    Comparison, keys, st.sampled_from(several), st.lists(values, max_size=3).map(tuple)
)
filters = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)), st.sampled_from([AllOf, AnyOf]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(groups=st.lists(st.dictionaries(keys, values), max_size=12), where=filters, seen=st.integers(0, 12))
def test_a_filter_allows_the_groups_that_it_matches(groups, where, seen):
    columns = AttributeColumns()
    for number, attributes in enumerate(groups):
        columns.add(number, attributes)
    known = groups[:seen]  # a reader of an earlier moment
    assert columns.allowed(where, len(known)).tolist() == [matches(where, attributes) for attributes in known]
