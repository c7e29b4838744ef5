"""What came out differently, a sentence a line."""

from api.replay_difference import text_diff


def test_only_what_changed_is_shown() -> None:
    before = "The gate opens at six. It closes at nine.\nDogs are welcome. Cats are not."
    after = "The gate opens at six. It closes at ten.\nDogs are welcome. Cats are not."
    assert text_diff(before, after).splitlines()[2:] == [
        "@@ -1,3 +1,3 @@",
        " The gate opens at six.",
        "-It closes at nine.",
        "+It closes at ten.",
        " Dogs are welcome.",
    ]


def test_line_breaks_between_sentences_are_no_difference() -> None:
    assert text_diff("One stands. Two stand.", "One stands.\nTwo  stand.") == ""
    assert text_diff("", "") == ""
