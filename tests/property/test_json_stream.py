"""JSON read while it arrives, and the cited answers in it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.cited_json import CitedJsonReader, schema
from generation.json_stream import ITEM, Closed, JsonEvent, JsonStream, StringPart, Value
from generation.markers import Marker
from indexes.errors import Unavailable

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def cut(text: str, data: st.DataObject) -> list[str]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def read(pieces: list[str]) -> list[JsonEvent]:
    """All events, strings in one part."""
    stream, events = JsonStream(), list[JsonEvent]()
    for event in (event for piece in [*pieces, " "] for event in stream.feed(piece)):
        last = events[-1] if events else None
        if isinstance(event, StringPart) and isinstance(last, StringPart) and last.path == event.path:
            events[-1] = StringPart(event.path, last.text + event.text)
        else:
            events.append(event)
    return events


def expected(value: Any, path: tuple[str, ...] = ()) -> list[JsonEvent]:
    match value:
        case str():
            return [*([StringPart(path, value)] if value else []), Closed(path)]
        case list():
            inner = [event for item in value for event in expected(item, (*path, ITEM))]
            return [*inner, Closed(path)]
        case dict():
            inner = [event for key, item in value.items() for event in expected(item, (*path, key))]
            return [*inner, Closed(path)]
        case _:
            return [Value(path, value)]


@given(JSON, st.booleans(), st.sampled_from([None, 2]), st.data())
def test_any_json_cut_anywhere_gives_what_is_in_it(value: Any, ascii_: bool, indent: int | None, data: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    assert read(cut(text, data)) == expected(value)


@given(st.text('{}[]":,\\u0aeE1.-tn \n', max_size=30))
def test_what_is_not_json_is_refused_and_what_is_json_is_not(text: str) -> None:
    try:
        value = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        finite = not any(isinstance(event, Value) and math.isinf(event.value or 0) for event in expected(value))
    except ValueError:
        stream = JsonStream()
        closed: list[JsonEvent] = []
        try:
            closed = stream.feed(text + " ")
        except ValueError:
            return
        assert not any(isinstance(event, Value | Closed) and event.path == () for event in closed)
    else:
        if finite:
            read([text])


@pytest.mark.parametrize(
    ("text", "read_as"),
    [(r'"\ud83d\ude00"', "\U0001f600"), (r'"\ud83dx"', "\ufffdx"), (r'"\ude00"', "\ufffd"), (r'"\ud83d"', "\ufffd")],
)
def test_surrogates_are_joined_or_replaced(text: str, read_as: str) -> None:
    assert read([*text]) == [StringPart((), read_as), Closed(())]


def cited(pieces: list[str]) -> list[str | Marker]:
    reader = CitedJsonReader("m")
    parts = [part for piece in pieces for part in reader.feed(piece)] + reader.finish()
    joined: list[str | Marker] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


ANSWER = json.dumps(
    [
        {"text": "It opens at six.", "citations": [1, 2, 1]},
        {"text": "Nobody knows [3].", "citations": []},
        {"text": "Ü\n", "citations": [2]},
    ]
)
PARTS = ["It opens at six.", Marker((1, 2)), " Nobody knows", Marker((3,)), ". Ü", Marker((2,))]


@given(st.data())
def test_sentences_and_their_citations_come_out_wherever_the_stream_is_cut(data: st.DataObject) -> None:
    assert cited(cut(ANSWER, data)) == PARTS


@given(st.integers(0, len(ANSWER)))
def test_an_answer_cut_off_keeps_what_was_said(at: int) -> None:
    said = cited([ANSWER[:at]])
    text, whole = "".join(str(part) for part in said if isinstance(part, str)), "It opens at six. Nobody knows. Ü"
    assert whole.startswith(text.rstrip(" [3"))
    assert [part for part in said if isinstance(part, Marker)] == [part for part in PARTS if isinstance(part, Marker)][
        : sum(isinstance(part, Marker) for part in said)
    ]


@pytest.mark.parametrize("said", ["[]", '[{"text": "NO_ANSWER", "citations": []}]'])
def test_no_sentences_and_the_agreed_word_are_no_answer(said: str) -> None:
    assert cited([*said]) == []


def test_a_server_that_ignores_the_schema_is_named() -> None:
    with pytest.raises(Unavailable, match="markers"):
        cited(["It opens at six [1]."])


def test_only_passages_that_are_there_can_be_cited() -> None:
    item = schema(3)["items"]["properties"]["citations"]["items"]
    assert item == {"enum": [1, 2, 3]}
