"""PDF: reading order, headings, tables, running heads, boxes. The files are written here, glyph by glyph."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from indexes.errors import DocumentError
from indexes.model import BlockKind, CanonicalText
from ingestion.boxes import boxes
from ingestion.parse import Limits, parse, pdf_glyphs

Line = tuple[float, float, float, str]  # x, y from below, size, text

BODY = "Plain words fill this line of the body"


def pdf(*pages: Sequence[Line], rotate: int = 0, fields: Sequence[str] = (), before: str = "") -> bytes:
    """A PDF whose pages (600 x 800 points) show the given lines in Helvetica, in this order, and each all `fields`.

    `before` is drawn under the lines.
    """
    widgets = "".join(f"<</Type/Annot/Subtype/Widget/Rect[9 9 99 30]{field}>>" for field in fields)
    catalog = f"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[{widgets}]>>>>"
    objects = [catalog.encode(), b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for lines in pages:
        shown = "".join(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET\n" for x, y, size, text in lines)
        data = f"{before}\n{shown}".encode("latin-1")
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(data), data))
        kids.append(f"{len(objects) + 1} 0 R")
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Rotate {rotate}/Contents {len(objects)} 0 R"
        objects.append(f"{page}/Annots[{widgets}]/Resources<</Font<</F1 3 0 R>>>>>>".encode())
    objects[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(kids)}>>".encode()
    body = b"%PDF-1.4\n"
    offsets = []
    for number, data in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    return body + head + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, len(body))


@pytest.fixture
def read(tmp_path: Path):
    def parsed(*pages: Sequence[Line], rotate: int = 0, before: str = "") -> CanonicalText:
        path = tmp_path / "file"
        path.write_bytes(pdf(*pages, rotate=rotate, before=before))
        return parse(path, "file.pdf")

    return parsed


def texts(canonical: CanonicalText) -> list[str]:
    return [canonical.text[block.start : block.end] for block in canonical.blocks]


def paragraph(x: float, top: float, *lines: str) -> list[Line]:
    return [(x, top - 12 * number, 10, line) for number, line in enumerate(lines)]


def test_lines_become_paragraphs_with_page_section_and_box(read) -> None:
    canonical = read(
        [(50, 700, 20, "Annual report"), *paragraph(50, 660, BODY, BODY), *paragraph(50, 620, "Second paragraph.")],
        paragraph(50, 700, "Another page."),
    )
    assert texts(canonical) == ["Annual report", f"{BODY} {BODY}", "Second paragraph.", "Another page."]
    heading, first, _, last = canonical.blocks
    assert heading.kind is BlockKind.HEADING
    assert canonical.title == "Annual report"
    assert (first.page, last.page) == (1, 2)
    assert first.section == last.section == ("Annual report",)
    left, top, right, bottom = first.box
    assert left == pytest.approx(50, abs=2)
    assert 120 < top < 140 < bottom < 160
    assert 200 < right < 300


@pytest.mark.parametrize("order", ["columns", "rows"])
def test_two_columns_are_read_one_after_the_other(read, order: str) -> None:
    left = [f"left {number} goes on to the end" for number in range(8)]
    right = [f"right {number} goes on to the end" for number in range(8)]
    columns = [paragraph(50, 650, *left), paragraph(330, 650, *right)]
    body = (
        columns[0] + columns[1] if order == "columns" else [line for row in zip(*columns, strict=True) for line in row]
    )
    canonical = read([(50, 700, 18, "A title that spans both of the columns"), *body])
    assert texts(canonical) == ["A title that spans both of the columns", " ".join(left), " ".join(right)]


def test_aligned_cells_are_a_table(read) -> None:
    rows = [("Item", "Price", "Stock"), ("Chair", "40", "3"), ("Long table", "120", "12")]
    cells = [
        (x, 600 - 14 * number, 10, cell)
        for number, row in enumerate(rows)
        for x, cell in zip((50, 200, 300), row, strict=True)
    ]
    canonical = read([*paragraph(50, 650, BODY), *cells])
    assert texts(canonical)[1] == "Item | Price | Stock\nChair | 40 | 3\nLong table | 120 | 12"
    assert canonical.blocks[1].kind is BlockKind.TABLE


def test_running_heads_stay_once(read) -> None:
    pages = [[(50, 780, 8, f"Handbook page {n}"), *paragraph(50, 600, f"Content number {n} here")] for n in range(1, 6)]
    canonical = read(*pages)
    assert canonical.text.count("Handbook") == 1
    assert canonical.text.count("Content") == 5


@pytest.mark.parametrize(
    "numbers",
    [
        ["Handbook page {}", "Handbook page {}"],
        ["Page {} of 6", "Seite {}"],
        ["- {} -", "{}/6"],
        ["Handbook | {}", "{} Handbook"],
    ],
)
@pytest.mark.parametrize("first", [1, 20])
def test_the_number_of_the_page_does_not_make_a_line_another(read, numbers: list[str], first: int) -> None:
    head, foot = numbers
    pages = [
        [(50, 780, 8, head.format(n)), *paragraph(50, 600, f"Content {n}."), (50, 20, 8, foot.format(n))]
        for n in range(first, first + 6)
    ]
    canonical = read(*pages)
    assert texts(canonical) == [
        head.format(first), f"Content {first}.", foot.format(first), *(f"Content {first + n}." for n in range(1, 6))
    ]  # fmt: skip


def test_roman_pages_and_heads_of_left_and_right_pages_are_running(read) -> None:
    numbers = ["i", "ii", "iii", "iv", "v", "vi", "1", "2", "3", "4", "5", "6", "7", "8"]
    heads = [
        [(50, 780, 8, number), (80, 780, 8, "Handbook")] if at % 2 else [(50, 780, 8, "Travel"), (300, 780, 8, number)]
        for at, number in enumerate(numbers)
    ]
    canonical = read(*([*head, *paragraph(50, 600, f"Content {at}.")] for at, head in enumerate(heads)))
    assert texts(canonical) == ["Travel i", "Content 0.", "ii Handbook", *(f"Content {at}." for at in range(1, 14))]


def test_invoices_at_the_edges_of_their_pages_stay(read) -> None:
    invoices = [
        [
            (50, 780, 10, f"Invoice no. 2024-{100 + n:04}"),
            (50, 760, 10, "Customer no."), (200, 760, 10, f"{100 + n}"),
            *paragraph(400, 780, "Order no.", f"{700 + n}"),
            *paragraph(50, 600, "Paid within thirty days."),
            (50, 60, 10, f"Total: {n * 17} EUR"),
            (50, 20, 10, f"Part P{100 + n} of exhibit {n}"),
        ]
        for n in range(1, 6)
    ]  # fmt: skip
    text = read(*invoices).text
    assert all(f"2024-{100 + n:04}" in text for n in range(1, 6))
    assert all(f"Customer no. {100 + n}" in text for n in range(1, 6))
    assert all(f"Order no. {700 + n}" in text for n in range(1, 6))
    assert all(f"Total: {n * 17} EUR" in text and f"P{100 + n} of exhibit {n}" in text for n in range(1, 6))


def printed(canonical: CanonicalText, words: str) -> list[tuple[int, float, float]]:
    """Page, left and base line (from the top) of the lines that hold `words`."""
    start = canonical.text.index(words)
    found = boxes(canonical, start, start + len(words))
    return [(place.page, round(place.box[0], -1), round(place.box[3] - 2, -1)) for place in found]


def test_a_stretch_of_text_is_found_on_its_lines(read) -> None:
    canonical = read(
        paragraph(
            50, 700, "The first line of a text that is", "divided in the se-", "cond line, and ends in", "the last."
        ),
        paragraph(100, 500, "Another page."),
    )
    assert texts(canonical)[0].endswith("divided in the second line, and ends in the last.")
    assert printed(canonical, "first line") == [(1, 50, 100)]
    assert printed(canonical, "in the second line") == [(1, 50, 110), (1, 50, 120)]
    assert printed(canonical, "the last.\n\nAnother") == [(1, 50, 140), (2, 100, 300)]


def test_a_row_of_a_table_is_found_with_all_its_cells(read) -> None:
    rows = [("Item", "Price", "Stock"), ("Chair", "40", "3"), ("Long table", "120", "12")]
    cells = [
        (x, 600 - 20 * at, 10, cell) for at, row in enumerate(rows) for x, cell in zip((50, 200, 300), row, strict=True)
    ]
    canonical = read([*paragraph(50, 650, BODY), *cells])
    start = canonical.text.index("40 | 3")
    (found,) = boxes(canonical, start, start + 6)
    assert found.box == pytest.approx((50, 209, 306, 223), abs=3)
    assert list(boxes(canonical, len(canonical.text), len(canonical.text) + 9)) == []


def test_boxes_are_those_of_the_page_as_it_is_shown(read) -> None:
    canonical = read([(50, 700, 10, "Turned")], rotate=90)
    left, top, right, bottom = canonical.blocks[0].box
    # Turned clockwise, what was 700 above the bottom is 700 from the left, and text runs down the page.
    assert 690 < left < right < 715
    assert top == pytest.approx(50, abs=2)
    assert bottom > top


@pytest.mark.parametrize(
    ("line", "before"),
    [
        ((50, 700, 10, "white on white"), "1 1 1 rg"),
        ((50, 700, 10, "drawn without ink"), "3 Tr"),
        ((50, 700, 0.5, "too small to be read"), ""),
        ((-400, 700, 10, "beside the page"), ""),
        ((50, 700, 10, "white on a white shape"), "1 1 1 rg 0 600 600 200 re f"),
    ],
)
def test_text_that_nobody_sees_is_marked(read, line: Line, before: str) -> None:
    canonical = read([line], [], before=before)
    assert line[3] in canonical.text
    assert canonical.metadata["hidden_text"] is True
    assert "on page 1 that a reader does not see" in " ".join(canonical.warnings)


def test_text_that_is_seen_is_not_marked(read) -> None:
    canonical = read([(50, 700, 10, "white on black")], before="0 0 0 rg 40 690 200 40 re f 1 1 1 rg")
    assert "hidden_text" not in canonical.metadata
    assert canonical.warnings == ()


def test_pictures_alone_are_no_text(read) -> None:
    with pytest.raises(DocumentError) as caught:
        read([])
    assert caught.value.code == "no_text_layer"


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pdf(*[paragraph(50, 700, "x")] * 3))
    with pytest.raises(DocumentError) as caught:
        parse(path, "file.pdf", Limits(max_pages=2))
    assert caught.value.code == "too_large"


def test_a_broken_page_costs_that_page(tmp_path: Path) -> None:
    data = pdf(*[paragraph(50, 700, f"Words of page {number}.") for number in range(1, 5)])
    data = data.replace(b" 7 0 R ", b" 0 0 R ")  # The second page is nowhere,
    before, _, after = data.rpartition(b"/Type/Page/")  # and the last is something else.
    path = tmp_path / "file"
    path.write_bytes(before + b"/Type/Nope/" + after)
    canonical = parse(path, "file.pdf")
    assert texts(canonical) == ["Words of page 1.", "Words of page 3."]
    assert [block.page for block in canonical.blocks] == [1, 3]
    assert canonical.warnings[0].startswith("The file is damaged on pages 2, 4: ")


def test_a_page_that_makes_the_reader_fail_costs_that_page(read, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = pdf_glyphs._lines

    def failing(text: object, *rest: object) -> object:
        found = list(lines(text, *rest))
        return [1 / 0] if "second" in found[0].text else found

    monkeypatch.setattr(pdf_glyphs, "_lines", failing)
    canonical = read(*[paragraph(50, 700, f"The {word} page.") for word in ("first", "second", "third")])
    assert texts(canonical) == ["The first page.", "The third page."]
    assert canonical.warnings[0].startswith("The file is damaged on page 2: ")


def test_what_was_filled_into_a_form_is_text(tmp_path: Path) -> None:
    fields = [
        "/FT/Tx/T(name)/TU(Full name)/V(Ada Lovelace)",
        "/FT/Tx/T(secret)/Ff 8192/V(hunter2)",
        "/FT/Btn/T(agreed)/V/Yes/AS/Yes",
        "/FT/Btn/T(refused)/V/Off/AS/Off",
        "/FT/Tx/T(empty)",
    ]
    path = tmp_path / "file"
    path.write_bytes(pdf(paragraph(50, 700, "Please fill in."), fields=fields))
    assert texts(parse(path, "file.pdf")) == ["Please fill in.", "Full name: Ada Lovelace", "agreed: Yes"]
