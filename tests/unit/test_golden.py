"""Golden sets: what is read is what was written, and a line at fault is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.golden import MAX_QUERIES, GoldenQuery, GoldenSet
from indexes.errors import InvalidRequest

LEAVE = b'{"id": "a", "query": "How many days of leave?", "relevant": {"keys": {"hr/leave.md": 2, "hr/old.md": 0}}}'
FAQ = b'{"id": "b", "query": "Who approves?", "relevant": {"keys": ["hr/faq.md"], "chunks": ["chk_1", "chk_2"]}}'


def test_grades_are_read_by_key_and_chunk_and_a_list_means_1() -> None:
    golden = GoldenSet.read(b"\xef\xbb\xbf" + LEAVE + b"\r\n\n" + FAQ)
    assert golden.queries == (
        GoldenQuery("a", "How many days of leave?", {"hr/leave.md": 2.0, "hr/old.md": 0.0}),
        GoldenQuery("b", "Who approves?", {"hr/faq.md": 1.0}, {"chk_1": 1.0, "chk_2": 1.0}),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"id": "c"', "EOF"),
        (b"[]", "object"),
        (b'{"id": "c", "query": "q"}', "`relevant`: Field required"),
        (b'{"id": "c", "query": " ", "relevant": {"keys": ["k"]}}', "`query`: must be text"),
        (b'{"id": "c", "query": "a\\u0000b", "relevant": {"keys": ["k"]}}', "without U"),
        (b'{"id": 3, "query": "q", "relevant": {"keys": ["k"]}}', "`id`: Input should be a valid string"),
        (b'{"id": "c", "query": "q", "relevant": {"keys": {"k": -1}}}', "`relevant.keys.k`"),
        (b'{"id": "c", "query": "q", "relevant": {"keys": {"k": "much"}}}', "`relevant.keys.k`"),
        (b'{"id": "c", "query": "q", "relevant": {"keys": [7]}}', "`relevant.keys`"),
        (b'{"id": "c", "query": "q", "relevant": {"files": ["k"]}}', "`relevant.files`: Extra inputs"),
        (b'{"id": "c", "query": "q", "relevant": {"keys": {"k": 0}}}', "nothing is relevant"),
        (b'{"id": "c", "query": "q\xff", "relevant": {"keys": ["k"]}}', "UTF-8|unicode"),
        (LEAVE, "'a' is that of an earlier query"),
    ],
)
def test_the_line_at_fault_is_named(line: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^Line 3 of the golden set .*({said})"):
        GoldenSet.read(LEAVE + b"\n\n" + line + b"\n" + FAQ)


def test_neither_nothing_nor_too_much_is_a_golden_set() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        GoldenSet.read(b"\n \n")
    lines = b"\n".join(LEAVE.replace(b'"a"', b'"%d"' % number) for number in range(MAX_QUERIES + 1))
    with pytest.raises(InvalidRequest, match=f"Line {MAX_QUERIES + 1} .* {MAX_QUERIES} queries at most"):
        GoldenSet.read(lines)


def test_the_hash_is_of_what_is_said_and_not_of_how() -> None:
    one = GoldenSet.read(LEAVE + b"\n" + FAQ)
    other = GoldenSet.read(FAQ.replace(b'["hr/faq.md"]', b'{"hr/faq.md": 1.0}') + b"\n" + LEAVE.replace(b": ", b":  "))
    assert one.hash == other.hash
    assert one.hash != GoldenSet.read(LEAVE.replace(b"2,", b"1,") + b"\n" + FAQ).hash
    assert one.hash != GoldenSet.read(LEAVE).hash


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: bool(text.strip())
)
GRADES = st.dictionaries(TEXTS, st.floats(0.01, 100), min_size=1, max_size=3)
QUERIES = st.builds(GoldenQuery, TEXTS, TEXTS, GRADES, GRADES)


@given(st.lists(QUERIES, min_size=1, max_size=5, unique_by=lambda query: query.id))
def test_what_is_written_is_read_again(queries: list[GoldenQuery]) -> None:
    golden = GoldenSet(tuple(queries))
    assert GoldenSet.read(golden.write()) == golden
