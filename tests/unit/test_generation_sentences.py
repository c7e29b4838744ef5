from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.sentences import sentences, without_list_marker

PIECES = st.sampled_from(
    [
        "Dr. ",
        "Smith",
        " 3.5",
        "e.g.",
        ". ",
        "! ",
        "？",
        "。",
        " | ",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "word ",
        "Über ",
        "।",
        "\t",
        "…",
    ]
)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_sentences_are_in_order_apart_and_cover_all_that_is_not_space(text: str) -> None:
    spans = sentences(text)
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid 3.5 million. He left.", ["Dr. Smith paid 3.5 million.", "He left."]),
        ("See Fig. 3 and No. 7, e.g. Paris. The end.", ["See Fig. 3 and No. 7, e.g. Paris.", "The end."]),
        ("J. K. Rowling lives in the U.S. She writes.", ["J. K. Rowling lives in the U.S.", "She writes."]),
        ("She asked “Why?” and left.", ["She asked “Why?” and left."]),
        ("He said “Go.” Then he left!", ["He said “Go.”", "Then he left!"]),
        ("设置为 3.5。然后重启！好吗？", ["设置为 3.5。", "然后重启！", "好吗？"]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟", "نعم."]),
        ("यह सही है। वह गया।", ["यह सही है।", "वह गया।"]),
    ],
)
def test_stops_in_several_scripts(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_blocks_list_items_and_table_rows_stand_alone() -> None:
    text = "Leave\n\nYou need:\n- a form\n- 2. a stamp\n\nDays | Years\n25 | 1-5\n\n1. First step. Then more."
    assert split(text) == [
        "Leave",
        "You need:",
        "- a form",
        "- 2. a stamp",
        "Days | Years",
        "25 | 1-5",
        "1. First step.",
        "Then more.",
    ]


def test_a_wrapped_line_is_no_break_but_a_short_one_is() -> None:
    wrapped = "The quick brown fox jumps over the lazy dog and\nGermany wins the match in the end."
    assert split(wrapped) == [wrapped]
    assert split("Opening hours\nMonday to Friday") == ["Opening hours", "Monday to Friday"]


def test_the_marker_of_a_list_item_can_be_left_out() -> None:
    text = "• 12. item"
    assert text[without_list_marker(text, 0, len(text)) :] == "12. item"
    assert without_list_marker("3.5 is a number", 0, 15) == 0
