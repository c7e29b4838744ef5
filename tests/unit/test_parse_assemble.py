"""Canonical texts: where blocks lie, what normalising does, and that bytes come back as they went."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.errors import DocumentError
from indexes.model import BlockKind, CanonicalText, LineBox
from ingestion.parse import artefact
from ingestion.parse.assemble import assemble
from ingestion.parse.draft import Draft, Piece, heading
from ingestion.parse.limits import Limits

# Surrogates too: a parser may hand over anything that Python calls text.
texts = st.text(st.characters(), max_size=60) | st.sampled_from(
    ["\x00", "\ud800", "a\r\n\r\n\r\nb", " \u2028 ", "e\u0301", "\ufeff"]
)
boxes = st.tuples(*[st.floats(-1e6, 1e6).map(lambda value: round(value, 1))] * 4)


@st.composite
def placed(draw: st.DrawFn) -> Piece:
    text = draw(texts)
    starts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=3)))
    lines = tuple(LineBox(start, draw(boxes)) for start in starts)
    return Piece(text, draw(st.sampled_from(BlockKind)), draw(st.integers(1, 6)), draw(st.integers(1, 9999)), lines)


pieces = st.lists(placed() | st.builds(Piece, texts, st.sampled_from(BlockKind), st.integers(1, 6)), max_size=12)


def assembled(*parts: Piece) -> CanonicalText:
    return assemble(Draft(parts), "text/plain", Limits())


@settings(deadline=None)
@given(pieces)
def test_blocks_are_ordered_disjoint_and_cover_all_but_white_space(parts: list[Piece]) -> None:
    try:
        canonical = assembled(*parts)
    except DocumentError as error:
        assert error.code == "empty_file"
        return
    canonical.text.encode("utf-8")
    end = 0
    for block in canonical.blocks:
        assert end <= block.start < block.end <= len(canonical.text)
        assert not canonical.text[end : block.start].strip()
        assert canonical.text[block.start : block.end].strip()
        assert all(block.start <= line.start <= block.end for line in block.lines)
        end = block.end
    assert end == len(canonical.text)
    assert artefact.loads(artefact.dumps(canonical)) == canonical


@settings(deadline=None)
@given(pieces)
def test_assembling_what_was_assembled_changes_nothing(parts: list[Piece]) -> None:
    try:
        first = assembled(*parts)
    except DocumentError:
        return
    again = assembled(*(Piece(first.text[block.start : block.end], block.kind) for block in first.blocks))
    assert again.text == first.text


def test_texts_kept_since_an_older_version_have_one_box_a_block() -> None:
    canonical = assembled(Piece("a", page=1, lines=(LineBox(0, (1.0, 2.0, 3.0, 4.0)),)), Piece("b"))
    kept = artefact.dumps(canonical)
    old = kept.replace(b"[0,1.0,2.0,3.0,4.0]", b"[1.0,2.0,3.0,4.0]").replace(b"0,[]]", b"0,null]")
    assert old != kept
    assert artefact.loads(old) == canonical


def test_sections_follow_the_headings() -> None:
    canonical = assembled(
        heading("Guide", 1), heading("Leave", 2), Piece("a"), heading("Pay", 2), heading("", 1), Piece("b")
    )
    assert [block.section for block in canonical.blocks] == [
        ("Guide",),
        ("Guide", "Leave"),
        ("Guide", "Leave"),
        ("Guide", "Pay"),
        (),
    ]
    assert canonical.title == "Guide"


def test_code_keeps_its_spaces_and_prose_does_not() -> None:
    canonical = assembled(Piece("a \t b\r\n\r\n\r\nc\u00a0d"), Piece("\ndef f():\n\n    pass  \n", BlockKind.CODE))
    assert canonical.text == "a b\nc d\n\ndef f():\n\n    pass"


def test_a_text_past_the_limit_is_refused() -> None:
    with pytest.raises(DocumentError) as caught:
        assemble(Draft([Piece("word " * 100)]), "text/plain", Limits(max_text_chars=400))
    assert caught.value.code == "too_large"
