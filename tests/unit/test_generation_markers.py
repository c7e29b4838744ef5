import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.markers import Marker, MarkerReader


def read(pieces: list[str]) -> list[str | Marker]:
    reader = MarkerReader()
    parts = [part for piece in pieces for part in reader.feed(piece)] + reader.finish()
    joined: list[str | Marker] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A is B [1]. C", ["A is B", Marker((1,)), ". C"]),
        ("A [1, 2][3] [2-4]", ["A", Marker((1, 2)), Marker((3,)), Marker((2, 3, 4))]),
        ("A [1 and 2; 2]", ["A", Marker((1, 2))]),
        ("甲【1】。", ["甲", Marker((1,)), "。"]),
        ("In [2019] and [x] and [", ["In [2019] and [x] and ["]),
        ("Use `a[0]` here [1]", ["Use `a[0]` here", Marker((1,))]),
        ("```\na[0]\n\nb[1]\n``` [1]", ["```\na[0]\n\nb[1]\n```", Marker((1,))]),
        ("a stray ` here\nis [1]", ["a stray ` here\nis", Marker((1,))]),
        ("[3-1]", [Marker(())]),
    ],
)
def test_markers_are_taken_out_with_the_blanks_before_them(text: str, expected: list[str | Marker]) -> None:
    assert read([text]) == expected


@settings(deadline=None)
@given(st.text(alphabet="ab `[]【】12,-.\n "), st.data())
def test_it_does_not_matter_where_the_stream_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(pieces) == read([text])
