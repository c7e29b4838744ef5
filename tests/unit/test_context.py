"""What is embedded of a chunk."""

from dataclasses import replace

from indexes.context import HEADINGS_1, in_context
from indexes.model import Chunk, Span

CHUNK = Chunk("chunk", "rev", Span(0, 9, 0, 3, section=("Handbook", "Leave")), "Ten days.")


def test_headings_that_a_chunk_lacks_stand_before_it():
    assert in_context(CHUNK, HEADINGS_1) == "Handbook > Leave\n\nTen days."
    assert in_context(replace(CHUNK, text="Leave\n\nTen days."), HEADINGS_1) == "Handbook\n\nLeave\n\nTen days."
    assert in_context(replace(CHUNK, span=Span(0, 9, 0, 3)), HEADINGS_1) == "Ten days."


def test_a_manifest_without_context_has_the_text_alone():
    assert in_context(CHUNK, None) == "Ten days."


def test_a_path_of_any_length_leaves_room_for_the_text():
    deep = replace(CHUNK, span=Span(0, 9, 0, 3, section=("x" * 5_000,)))
    assert len(in_context(deep, HEADINGS_1)) < 150
