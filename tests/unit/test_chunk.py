import pytest

from indexes.embedders.hashing import WordTokenizer
from indexes.errors import InvalidRequest
from indexes.manifest import Chunking
from indexes.model import Block, BlockKind, CanonicalText
from ingestion.chunk import chunk, default_chunking, fit

HEADING, PARAGRAPH, TABLE, CODE = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.TABLE, BlockKind.CODE
SENTENCE = "This sentence has exactly seven tokens."  # six words and a stop


def document(*blocks: tuple[BlockKind, str, tuple[str, ...]]) -> CanonicalText:
    """A text of blocks with an empty line between them, each on its own page."""
    text, placed = "", []
    for page, (kind, part, section) in enumerate(blocks, start=1):
        placed.append(Block(len(text), len(text) + len(part), kind, page, section))
        text += part + "\n\n"
    return CanonicalText(text, tuple(placed), "text/plain")


def texts(given: CanonicalText, max_tokens: int = 16, overlap_tokens: int = 0) -> list[str]:
    spans = chunk(given, Chunking(max_tokens, overlap_tokens), WordTokenizer())
    return [given.text[span.start : span.end] for span in spans]


def test_small_blocks_of_a_section_share_a_chunk_and_sections_do_not() -> None:
    given = document(
        (HEADING, "Leave", ("Leave",)),
        (PARAGRAPH, SENTENCE, ("Leave",)),
        (PARAGRAPH, "And more.", ("Leave",)),
        (HEADING, "Pay", ("Pay",)),
        (PARAGRAPH, "Monthly.", ("Pay",)),
    )
    spans = chunk(given, Chunking(16, 0), WordTokenizer())
    assert [span.section for span in spans] == [("Leave",), ("Pay",)]
    assert [(span.page_start, span.page_end) for span in spans] == [(1, 3), (4, 5)]
    assert [span.ordinal for span in spans] == [0, 1]
    assert [span.tokens for span in spans] == [11, 3]


def test_a_heading_goes_with_what_follows() -> None:
    given = document(
        (PARAGRAPH, f"{SENTENCE} {SENTENCE}", ()),
        (HEADING, "Next", ()),
        (PARAGRAPH, SENTENCE, ()),
    )
    assert texts(given) == [f"{SENTENCE} {SENTENCE}", f"Next\n\n{SENTENCE}"]


def test_a_heading_alone_goes_to_the_first_section_inside_its_own() -> None:
    given = document(
        (HEADING, "Part", ("Part",)),
        (HEADING, "Chapter", ("Part", "Chapter")),
        (PARAGRAPH, "Words.", ("Part", "Chapter")),
        (HEADING, "End", ("End",)),
    )
    assert texts(given) == ["Part\n\nChapter\n\nWords.", "End"]


def test_the_overlap_is_whole_sentences() -> None:
    given = document((PARAGRAPH, "One is here. Two is here. Three is here. Four is here. Five is here.", ()))
    assert texts(given, overlap_tokens=7) == [
        "One is here. Two is here. Three is here. Four is here.",
        "Four is here. Five is here.",
    ]
    assert texts(given, overlap_tokens=3)[1] == "Five is here."


def test_a_table_that_does_not_fit_is_cut_between_rows() -> None:
    rows = ["| name | days |", "| Ann | 25 |", "| Bob | 30 |", "| Cem | 28 |"]
    assert texts(document((TABLE, "\n".join(rows), ()))) == ["\n".join(rows[:3]), rows[3]]


def test_code_that_fits_is_not_cut() -> None:
    code = "def f(x):\n    y = x\n    return y"
    assert texts(document((PARAGRAPH, SENTENCE, ()), (CODE, code, ()))) == [SENTENCE, code]


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    words = [f"word{i}" for i in range(40)]
    found = texts(document((PARAGRAPH, " ".join(words), ())))
    assert [len(part.split()) for part in found] == [16, 16, 8]
    assert " ".join(found).split() == words


def test_an_unbroken_string_is_cut_though_it_is_one_token() -> None:
    assert [len(part) for part in texts(document((PARAGRAPH, "x" * 500, ())))] == [192, 192, 116]


def test_a_text_without_blocks_is_one_paragraph() -> None:
    assert texts(CanonicalText(f"  {SENTENCE}  ", (), "text/plain")) == [SENTENCE]
    assert texts(CanonicalText(" \n ", (), "text/plain")) == []


@pytest.mark.parametrize("chunking", [Chunking(8, 0), Chunking(64, 33), Chunking(64, -1)])
def test_a_chunking_that_makes_no_sense_is_refused(chunking: Chunking) -> None:
    with pytest.raises(InvalidRequest, match="tokens"):
        chunk(document((PARAGRAPH, SENTENCE, ())), chunking, WordTokenizer())


def test_a_chunking_is_clipped_to_what_the_model_reads() -> None:
    assert fit(Chunking(800, 400), 254) == Chunking(254, 127)
    assert fit(Chunking(100, 50), 254) == Chunking(100, 50)
    assert default_chunking(254) == Chunking(254, 32)
    assert default_chunking(8192) == Chunking(256, 32)
