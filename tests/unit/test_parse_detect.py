"""What a file is, by content; the refusals that an owner can act on."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import pytest

from indexes.errors import DocumentError
from ingestion.parse import Limits, parse
from ingestion.parse.detect import Format, detect


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def locked_zip() -> bytes:
    """A zip that says of its member that it is encrypted."""
    data = bytearray(zipped({"a.txt": b"x"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def seven_zip(end_header: bytes) -> bytes:
    """A 7z archive of which only the two headers are real."""
    packed = b"packed"
    place = struct.pack("<QQI", len(packed), len(end_header), 0)
    return b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + place + packed + end_header


def detected(folder: Path, data: bytes, filename: str) -> Format:
    path = folder / "blob"
    path.write_bytes(data)
    return detect(path, filename, Limits())


def refused(folder: Path, data: bytes, filename: str = "blob", limits: Limits | None = None) -> str:
    path = folder / "blob"
    path.write_bytes(data)
    with pytest.raises(DocumentError) as caught:
        parse(path, filename, limits)
    assert caught.value.message.endswith(".")
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "filename", "expected"),
    [
        (b"%PDF-1.4\n1 0 obj", "report.docx", Format.PDF),
        (b"\xef\xbb\xbf\n%PDF-1.4\n1 0 obj", "scan", Format.PDF),
        (b"The header of a file is %PDF-1.4 or later.", "notes.txt", Format.TEXT),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "a.pdf", Format.DOCX),
        (zipped({"mimetype": b"application/epub+zip"}), "book.zip", Format.EPUB),
        (b"{\\rtf1 x}", "letter.doc", Format.RTF),
        (b"<!-- a --><!DOCTYPE html><p>x", "page.txt", Format.HTML),
        (b'<?xml version="1.0"?><r/>', "data.bin", Format.XML),
        (b"From: a@b.c\nTo: d@e.f\nMIME-Version: 1.0\n\nhi", "message", Format.EML),
        (b"From: a@b.c\nTo: d@e.f\nSubject: x\n\nhi", "message.eml", Format.EML),
        (b"From a@b.c Mon Jul 20 01:01:07 2015\nSubject: x\n\nhi", "box", Format.MBOX),
        (b"Dear all,\nFrom: is a word.", "letter.txt", Format.TEXT),
        (b"# Title", "a.md", Format.MARKDOWN),
        (b"a;b", "a.csv", Format.CSV),
        (b"a: b", "a.yaml", Format.SOURCE),
        (zipped({"a.txt": b"x"}), "a.docx", Format.ZIP),
        (gzip.compress(b"x", mtime=0), "a.txt", Format.GZIP),
        (b"BMW and MZ made motorcycles.", "cars.txt", Format.TEXT),
        ("größer".encode("utf-16"), "a.txt", Format.TEXT),
        ("plain".encode("utf-32-le"), "a.txt", Format.TEXT),
    ],
)
def test_content_decides(tmp_path: Path, data: bytes, filename: str, expected: Format) -> None:
    assert detected(tmp_path, data, filename) is expected


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (b"", "a.pdf", "empty_file"),
        (b" \n\0", "a.txt", "empty_file"),
        (b"<html><script>x()</script></html>", "a.html", "empty_file"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a.pdf", "no_text_layer"),
        (b"\0\0\0\x18ftypheic", "a.heic", "no_text_layer"),
        (seven_zip(b"\x17\x06"), "a.7z", "unsupported_file"),
        (seven_zip(b"\x17\x06\x24\x06\xf1\x07\x01"), "a.7z", "encrypted_file"),
        (locked_zip(), "a.zip", "encrypted_file"),
        (zipped({"META-INF/MANIFEST.MF": b"x", "A.class": b"x"}), "a.jar", "unsupported_file"),
        (bytes(range(256)) * 8, "a.bin", "unsupported_file"),
        (b"only text", "a.docx", "invalid_file"),
        (b"%PDF-1.4\nnothing more", "a.pdf", "invalid_file"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b"<broken"}), "a.docx", "invalid_file"),
        (zipped({"word/document.xml": b"x" * 500})[:-30], "a.docx", "invalid_file"),
        (
            zipped(
                {
                    "mimetype": b"application/vnd.oasis.opendocument.text",
                    "META-INF/manifest.xml": b"<manifest:encryption-data/>",
                }
            ),
            "a.odt",
            "encrypted_file",
        ),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, data: bytes, filename: str, code: str) -> None:
    assert refused(tmp_path, data, filename) == code


def test_a_small_file_may_not_unfold_without_bound(tmp_path: Path) -> None:
    bomb = zipped({"[Content_Types].xml": b"", "word/document.xml": b"0" * 50_000_000})
    assert refused(tmp_path, bomb) == "too_large"
    many = zipped({"[Content_Types].xml": b"", **{f"word/{number}": b"" for number in range(50)}})
    assert refused(tmp_path, many, limits=Limits(max_members=40)) == "too_large"


def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    path = tmp_path / "a.xml"
    path.write_text(
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "{secret.as_uri()}"><!ENTITY y "expanded">]><r><p>one &x; two &y;</p></r>'
    )
    text = parse(path, "a.xml").text
    assert text.startswith("one")
    assert "secret" not in text
    assert "expanded" not in text


def test_a_memo_is_no_mail(tmp_path: Path) -> None:
    memo = "To: Bob\nFrom: Alice\nDate: Monday\nReceived: Tuesday\nRe: Budget is 3 million\nDepartment: HR\n\nHello."
    path = tmp_path / "memo"
    path.write_text(memo)
    assert parse(path, "memo.txt").text == memo
    path.write_text("From January to March 2024\nRevenue: 3 million\n")
    assert parse(path, "report.txt").text == "From January to March 2024\nRevenue: 3 million"


def test_a_sentence_does_not_begin_a_message_in_a_mailbox(tmp_path: Path) -> None:
    mark, path = "From a@b.c Mon Jul 20 01:01:07 2015\n", tmp_path / "box"
    closed = "From Monday on the office is closed.\nNote: take your keys."
    path.write_text(f"{mark}Subject: one\n\nhi\n\n{closed}\n\n{mark}Subject: two\n\nbye\n")
    assert parse(path, "box.mbox").text == f"one\n\nhi\n\n{closed}\n\ntwo\n\nbye"


def test_a_missing_file_is_not_the_documents_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        parse(tmp_path / "gone", "gone.txt")
