"""Pictures of text: what goes to recognition, and what becomes of the words that come back."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from indexes.errors import DocumentError
from indexes.model import BlockKind
from ingestion.children import Children
from ingestion.parse import parse
from ingestion.recognition import Tesseract

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")

COLUMNS = ["level", "page_num", "block_num", "par_num", "line_num", "word_num"]
COLUMNS += ["left", "top", "width", "height", "conf", "text"]
Word = tuple[int, int, str, float]  # line, left, text, confidence


def picture(*lines: str) -> Image.Image:
    """A page of 1240 x 1754 dots (A4 at 150 an inch) with a line of print every 100 dots, from (100, 100) on."""
    page = Image.new("L", (1240, 1754), 255)
    for number, line in enumerate(lines, start=1):
        ImageDraw.Draw(page).text((100, 100 * number), line, fill=0, font=ImageFont.load_default(40))
    return page


def table(*words: Word, size: tuple[int, int] = (1240, 1754)) -> str:
    """What Tesseract would write of `words`, each 20 high and 10 a letter, with a line every 30."""
    rows = [(1, 1, 0, 0, 0, 0, 0, 0, *size, -1, "")]
    rows += [
        (5, 1, 1, 1, line, 1, left, 100 + 30 * line, 10 * len(text), 20, sure, text) for line, left, text, sure in words
    ]
    return "\n".join("\t".join(map(str, row)) for row in [COLUMNS, *rows]) + "\n"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    path = tmp_path / "scan"
    picture("Some words.").save(path, "PNG")
    return path


def pictures(desk: Path) -> list[str]:
    return sorted(path.name for path in desk.glob("*.png"))


def unread(path: Path, desk: Path | None) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(path, "scan.png", desk=desk)
    assert caught.value.code == "no_text_layer"


def test_a_picture_goes_to_the_desk_and_its_words_come_back(scanned: Path, desk: Path) -> None:
    unread(scanned, None)
    unread(scanned, desk)
    assert pictures(desk) == ["1-0.png"]
    words = [
        (1, 100, "A", 95.0),
        (1, 120, "divi-", 95.0),
        (2, 100, "ded", 95.0),
        (2, 140, "word", 95.0),
        (2, 190, "%&", 9.0),
    ]
    (desk / "1-0.tsv").write_text(table(*words))
    canonical = parse(scanned, "scan.png", desk=desk)
    assert canonical.text == "A divided word"
    assert canonical.blocks[0].page == 1
    assert canonical.blocks[0].box == (100.0, 130.0, 180.0, 180.0)
    assert canonical.media_type == "image/png"
    assert canonical.warnings == ("The text of page 1 was read from a picture (OCR); it may have errors.",)


def test_words_far_apart_are_cells(scanned: Path, desk: Path) -> None:
    (desk / "1-0.tsv").write_text(
        table((1, 100, "Item", 90.0), (1, 400, "Price", 90.0), (2, 100, "Chair", 90.0), (2, 400, "40", 90.0))
    )
    canonical = parse(scanned, "scan.png", desk=desk)
    assert canonical.text == "Item | Price\nChair | 40"
    assert canonical.blocks[0].kind is BlockKind.TABLE


def test_what_reads_badly_is_turned_once_and_then_left(scanned: Path, desk: Path) -> None:
    (desk / "1-0.tsv").write_text(table((1, 100, "spjom", 35.0)))
    unread(scanned, desk)
    assert pictures(desk) == ["1-2.png"]
    (desk / "1-2.tsv").write_text("")
    unread(scanned, desk)
    (desk / "1-2.tsv").write_text(table((1, 100, "words", 95.0)))
    canonical = parse(scanned, "scan.png", desk=desk)
    assert canonical.text == "words"
    # Where they stand in the picture as it is, not as it was read.
    assert canonical.blocks[0].box == (1090.0, 1604.0, 1140.0, 1624.0)


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 60", "touch $2.tsv"])
async def test_a_recogniser_that_fails_leaves_a_picture_unread(scanned: Path, tmp_path: Path, script: str) -> None:
    command = tmp_path / "recogniser"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    pool = Children(recogniser=Tesseract(str(command), max_seconds=1))
    with pytest.raises(DocumentError) as caught:
        await pool.parse(scanned, "scan.png")
    assert caught.value.code == "no_text_layer"
    await pool.close()


@needs_tesseract
async def test_scans_are_read(scanned: Path, tmp_path: Path) -> None:
    lines: Sequence[str] = ("The quick brown fox", "jumps over the lazy dog.")
    path = tmp_path / "scan.pdf"
    upright, turned = picture(*lines), picture("Nothing is lost here.").rotate(180)
    upright.save(path, "PDF", resolution=150, save_all=True, append_images=[turned])
    pool = Children(recogniser=Tesseract.installed())
    canonical = await pool.parse(path, "scan.pdf")
    assert canonical.text.split() == [*" ".join(lines).split(), "Nothing", "is", "lost", "here."]
    assert [block.page for block in canonical.blocks][-1] == 2
    left, top, _, _ = canonical.blocks[0].box
    assert (left, top) == pytest.approx((48, 53), abs=5)  # 100 dots are 48 points; print begins a little below.
    assert canonical.warnings == ("The text of pages 1, 2 was read from a picture (OCR); it may have errors.",)
    assert (await pool.parse(scanned, "scan.png")).text == "Some words."
    await pool.close()
