"""What a filter means, and what a request may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import InvalidRequest
from indexes.filters import AllOf, AnyOf, Comparison, Operator, matches, parse

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


def test_parse_reads_the_openai_form():
    where = parse(
        {
            "type": "and",
            "filters": [
                {"type": "eq", "key": "draft", "value": False},
                {
                    "type": "or",
                    "filters": [
                        {"type": "gte", "key": "year", "value": 2020},
                        {"type": "in", "key": "team", "value": ["hr", 7]},
                    ],
                },
            ],
        }
    )
    assert where == AllOf(
        (
            Comparison("draft", Operator.EQ, False),
            AnyOf((Comparison("year", Operator.GTE, 2020.0), Comparison("team", Operator.IN, ("hr", 7.0)))),
        )
    )


def nested(depth):
    data = {"type": "eq", "key": "a", "value": 1}
    for _ in range(depth):
        data = {"type": "or", "filters": [data]}
    return data


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ([], "filters"),
        ({}, "filters.type"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"type": ["eq"], "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": "b", "boost": 2}, "filters.boost"),
        ({"type": "eq", "key": "", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "k" * 65, "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value"),
        ({"type": "eq", "key": "a", "value": "b" * 513}, "filters.value"),
        ({"type": "gt", "key": "a", "value": "2020"}, "filters.value"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value"),
        ({"type": "lt", "key": "a", "value": float("nan")}, "filters.value"),
        ({"type": "lt", "key": "a", "value": 10**400}, "filters.value"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value"),
        ({"type": "in", "key": "a", "value": ["b", {}]}, "filters.value[1]"),
        ({"type": "nin", "key": "a", "value": ["b"] * 1001}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "and", "filters": [nested(0), 7]}, "filters.filters[1]"),
        ({"type": "and", "filters": [nested(0), {"type": "eq", "key": "a"}]}, "filters.filters[1].value"),
        ({"type": "and", "filters": [nested(0)] * 257}, "filters"),
        (nested(9), "filters" + ".filters[0]" * 8 + ".filters"),
        (nested(5000), "filters" + ".filters[0]" * 8 + ".filters"),
    ],
)
def test_parse_names_the_part_at_fault(data, param):
    with pytest.raises(InvalidRequest) as refused:
        parse(data)
    assert refused.value.param == param


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "key", "value", "filters", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(json_values, st.sampled_from([*Operator, "and", "or"]))
def test_parse_refuses_by_its_own_error_or_gives_a_filter_that_can_be_asked(data, kind):
    try:
        where = parse({**data, "type": kind} if isinstance(data, dict) else data)
    except InvalidRequest as refused:
        assert refused.param is not None and refused.param.startswith("filters")
    else:
        assert matches(where, {"a": 1}) in (True, False)
