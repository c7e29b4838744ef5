import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.outgoing import OutgoingFilter

SOURCES = ("See https://intra.example/leave or [the form](forms/leave.md).",)
RULES = "You answer questions from numbered passages of documents and from nothing else at all, ever."


def passed(pieces: list[str]) -> tuple[str, int]:
    outgoing = OutgoingFilter(SOURCES, RULES)
    text = "".join([outgoing.feed(piece) for piece in pieces]) + outgoing.finish()
    return text, outgoing.dropped


@pytest.mark.parametrize(
    ("text", "shown", "dropped"),
    [
        ("Go to https://intra.example/leave.", "Go to https://intra.example/leave.", 0),
        ("Fill in [the form](forms/leave.md) today.", "Fill in [the form](forms/leave.md) today.", 0),
        ("Go to https://evil.example/?q=secret.", "Go to .", 1),
        ("Click [here](https://evil.example/a) now", "Click here now", 1),
        ("Hi ![a chart](https://intra.example/leave) you", "Hi a chart you", 1),
        ("Hi <img src='https://evil.example/x'> you", "Hi  you", 1),
        ("javascript:alert(1) and www.evil.example", ") and ", 2),
        ("a ![a[b]c](//evil.example/?q=s) b", "a ![a[b]c]() b", 1),
        ("a [b]: //evil.example/?q=s", "a [b]: ", 1),
        ("a <a href='//evil.example/s'>b</a>", "a <a href=''>b</a>", 1),
        ("1 // 2 and and/or and //remark", "1 // 2 and and/or and //remark", 0),
        ("If a < b, [see] the data: file and http.", "If a < b, [see] the data: file and http.", 0),
    ],
)
def test_only_links_of_the_sources_stay(text: str, shown: str, dropped: int) -> None:
    assert passed([text]) == (shown, dropped)


@given(
    st.lists(
        st.sampled_from(
            ["https://", "//", "evil.example", "/a", "![", "x", "](", ")", "[", "]", "<img ", ">", " ", "h", "!"]
        )
    )
)
def test_it_does_not_matter_where_the_stream_is_cut(parts: list[str]) -> None:
    text = "".join(parts)
    assert passed([*text]) == passed(parts) == passed([text])


def test_a_dozen_words_of_the_rules_in_a_row_are_a_leak() -> None:
    outgoing = OutgoingFilter((), RULES)
    for word in RULES.split()[:11]:
        outgoing.feed(f"{word} ")
    assert not outgoing.leaked
    outgoing.feed("else at all")
    outgoing.finish()
    assert outgoing.leaked
