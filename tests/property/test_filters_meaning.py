"""What a filter means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.filters import Comparison, Operator, matches

values = st.text(max_size=3) | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -0.0])
opposites = [(Operator.EQ, Operator.NE), (Operator.IN, Operator.NIN)]


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "expected"),
    [
        (1, "eq", 1.0, True),
        (True, "eq", 1, False),
        (1, "eq", True, False),
        ("1", "eq", 1, False),
        (True, "gte", 0, False),
        ("b", "gt", 1, False),
        (2.5, "gt", 2, True),
        (None, "ne", 1, True),
        (None, "nin", (1,), True),
        (None, "lt", 1, False),
        ("a", "in", (), False),
    ],
)
def test_types_are_distinct_and_a_missing_attribute_only_differs(attribute, operator, value, expected):
    attributes = {} if attribute is None else {"key": attribute}
    assert matches(Comparison("key", Operator(operator), value), attributes) is expected


@given(st.dictionaries(st.sampled_from("abc"), values), st.sampled_from("abc"), st.lists(values, max_size=3))
def test_ne_and_nin_are_the_opposites_of_eq_and_in(attributes, key, wanted):
    for positive, negative in opposites:
        value = tuple(wanted) if positive is Operator.IN else (wanted or [0])[0]
        assert matches(Comparison(key, positive, value), attributes) is not matches(
            Comparison(key, negative, value), attributes
        )
