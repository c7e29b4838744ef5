"""Word, Excel and OpenDocument files, written by their own libraries."""

import zipfile
from pathlib import Path

import docx
import openpyxl
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from indexes.model import BlockKind, CanonicalText
from ingestion.parse import parse


def shown(canonical: CanonicalText) -> list[tuple[str, str]]:
    return [(block.kind, canonical.text[block.start : block.end]) for block in canonical.blocks]


def word(path: Path) -> CanonicalText:
    document = docx.Document()
    document.core_properties.title = "Travel rules"
    document.add_heading("Travel", 1)
    paragraph = document.add_paragraph("Take the ")
    deleted = f"<w:del {nsdecls('w')}><w:r><w:delText>car</w:delText></w:r></w:del>"
    formula = (
        f"<m:oMath {nsdecls('m')}><m:f><m:num><m:r><m:t>km</m:t></m:r></m:num>"
        "<m:den><m:r><m:t>h</m:t></m:r></m:den></m:f></m:oMath>"
    )
    for markup in (deleted, formula):
        paragraph._p.append(parse_xml(markup))
    paragraph.add_run(" train.")
    document.add_heading("Costs", 2)
    document.add_paragraph("hotel", style="List Bullet")
    table = document.add_table(2, 3)
    for cell, text in zip((*table.rows[0].cells, *table.rows[1].cells), ("a", "b", "c", "1", "2", "3"), strict=True):
        cell.text = text
    table.cell(0, 0).merge(table.cell(1, 0)).text = "both"
    document.save(path)
    return parse(path, "rules.docx")


def test_word_keeps_outline_lists_tables_and_formulas(tmp_path: Path) -> None:
    canonical = word(tmp_path / "file")
    assert shown(canonical) == [
        (BlockKind.HEADING, "Travel"),
        (BlockKind.PARAGRAPH, "Take the km/h train."),
        (BlockKind.HEADING, "Costs"),
        (BlockKind.LIST_ITEM, "hotel"),
        (BlockKind.TABLE, "both | b | c\nboth | 2 | 3"),
    ]
    assert canonical.blocks[-1].section == ("Travel", "Costs")
    assert canonical.title == "Travel rules"


def test_strict_word_files_read_the_same(tmp_path: Path) -> None:
    expected = word(tmp_path / "file")
    strict = tmp_path / "strict"
    with zipfile.ZipFile(tmp_path / "file") as source, zipfile.ZipFile(strict, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(
                b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                b"http://purl.oclc.org/ooxml/officeDocument/relationships",
            )
            main = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
            target.writestr(name, data.replace(main, b"http://purl.oclc.org/ooxml/wordprocessingml/main"))
    assert parse(strict, "rules.docx").text == expected.text


def test_a_word_file_is_read_without_what_its_text_does_not_need(tmp_path: Path) -> None:
    expected = word(tmp_path / "file")
    broken = tmp_path / "broken"
    with zipfile.ZipFile(tmp_path / "file") as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            torn = name in ("word/styles.xml", "docProps/core.xml", "_rels/.rels")
            target.writestr(name, source.read(name)[: 200 if torn else None])
    canonical = parse(broken, "rules.docx")
    assert canonical.text == expected.text
    assert canonical.title is None


def test_each_sheet_is_a_section(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    book.active.append(["Item", "Price", "Valid"])
    for number in range(9):
        book.active.append([f"item {number}", number / 4, number % 2 == 0])
    book.create_sheet("Empty")
    path = tmp_path / "file"
    book.save(path)
    canonical = parse(path, "prices.xlsx")
    blocks = shown(canonical)
    assert blocks[0] == (BlockKind.HEADING, "Prices")
    assert len(blocks) == 2
    assert "item 5 | 1.25 | FALSE" in blocks[1][1]
    assert all(block.section == ("Prices",) for block in canonical.blocks)


def test_what_word_and_excel_hide_is_marked(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Shown, and ").add_run("hidden").font.hidden = True
    document.save(tmp_path / "file")
    canonical = parse(tmp_path / "file", "a.docx")
    assert (canonical.text, canonical.metadata["hidden_text"]) == ("Shown, and hidden", True)
    book = openpyxl.Workbook()
    book.active.append(["shown"])
    book.create_sheet("Margins").append(["secret"])
    book["Margins"].sheet_state = "veryHidden"
    book.save(tmp_path / "file")
    canonical = parse(tmp_path / "file", "a.xlsx")
    assert "secret" in canonical.text
    assert canonical.warnings[0].startswith("There is text on hidden sheets (Margins) that a reader does not see")
    assert "hidden_text" not in word(tmp_path / "file").metadata


OPEN_DOCUMENT = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0">
<office:body><office:text><text:h text:outline-level="1">Plan</text:h>
<text:p>One<text:s text:c="2"/>two<text:note><text:note-citation>1</text:note-citation>
<text:note-body><text:p>why</text:p></text:note-body></text:note>.</text:p><text:list><text:list-item><text:p>step</text:p></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>
<table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16000"/>
</table:table-row></table:table></office:text></office:body></office:document-content>"""


def test_open_document_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", OPEN_DOCUMENT)
    assert shown(parse(path, "plan.odt")) == [
        (BlockKind.HEADING, "Plan"),
        (BlockKind.PARAGRAPH, "One two (why)."),
        (BlockKind.LIST_ITEM, "step"),
        (BlockKind.TABLE, "a | b | b"),
    ]


@pytest.mark.parametrize("name", ["rules.docx", "rules.pdf", "rules"])
def test_a_wrong_name_changes_nothing(tmp_path: Path, name: str) -> None:
    expected = word(tmp_path / "file")
    assert parse(tmp_path / "file", name) == expected
