import pytest

from indexes.sentences import sentences


@pytest.mark.parametrize(
    "text",
    [
        "One. | Two! | Three? | Four",
        "Dr. Smith met J. Doe in the U.S. Senate. | He left at 9 a.m. sharp.",
        "See Fig. 3 and No. 7. | The answer is no. | Then what?",
        "1. Open the lid. | 2. Close it.",
        "“Stop!” he said. | (It worked.) | Version 3.5 is out.",
        "“Stop!” | “Why?”",
        "Wait... what? | Yes…",
        "第一句。|第二句！|第三句",
        "यह पहला है। | यह दूसरा है।",
        "هل هذا سؤال؟ | نعم.",
        "no stop here\n\n | but an empty line",
        "a paragraph that is hard wrapped at some sixty columns keeps\nits sentences whole. | Next.",
    ],
)
def test_ends_where_a_reader_would_say(text: str) -> None:
    whole = text.replace("|", "")
    found = [whole[start:end] for start, end in sentences(whole)]
    assert found == [part.strip() for part in text.split("|")]


@pytest.mark.parametrize("unit", [".", "a. ", ").", "\n \n", "?! ", "1. ", "\n   x"])
def test_hostile_repetition_is_linear(unit: str) -> None:
    text = unit * (300_000 // len(unit))  # a quadratic scan would outlast any patience
    assert sum(end - start for start, end in sentences(text)) <= len(text)
