"""What a file is, by its content. Its name only decides among kinds of plain text, which look alike."""

import re
from enum import StrEnum
from pathlib import Path, PurePath

from indexes.errors import DocumentError
from ingestion.parse import container
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits

HEAD_BYTES = 8192


class Format(StrEnum):
    """The formats with a parser, by media type."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ODT = "application/vnd.oasis.opendocument.text"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    ODP = "application/vnd.oasis.opendocument.presentation"
    EPUB = "application/epub+zip"
    DOC = "application/msword"
    PPT = "application/vnd.ms-powerpoint"
    XLS = "application/vnd.ms-excel"
    MSG = "application/vnd.ms-outlook"
    RTF = "application/rtf"
    HTML = "text/html"
    XML = "application/xml"
    EML = "message/rfc822"
    MBOX = "application/mbox"
    MARKDOWN = "text/markdown"
    CSV = "text/csv"
    RST = "text/x-rst"
    ASCIIDOC = "text/asciidoc"
    SOURCE = "text/x-source"
    TEXT = "text/plain"
    ZIP = "application/zip"
    TAR = "application/x-tar"
    GZIP = "application/gzip"
    BZIP2 = "application/x-bzip2"
    XZ = "application/x-xz"
    PNG = "image/png"
    JPEG = "image/jpeg"
    GIF = "image/gif"
    TIFF = "image/tiff"
    BMP = "image/bmp"
    WEBP = "image/webp"


ARCHIVES = frozenset((Format.ZIP, Format.TAR, Format.GZIP, Format.BZIP2, Format.XZ))
PICTURES = frozenset((Format.PNG, Format.JPEG, Format.GIF, Format.TIFF, Format.BMP, Format.WEBP))
# What can hold files that are documents of their own.
CONTAINERS = ARCHIVES | {Format.EML, Format.MBOX, Format.MSG}

_BY_NAME = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".mdown", ".qmd", ".rmd"), Format.MARKDOWN),
    **dict.fromkeys((".csv", ".tsv", ".tab"), Format.CSV),
    **dict.fromkeys((".rst", ".rest"), Format.RST),
    **dict.fromkeys((".adoc", ".asciidoc", ".asc"), Format.ASCIIDOC),
    **dict.fromkeys((".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".toml", ".ini", ".cfg", ".conf"), Format.SOURCE),
    **dict.fromkeys((".py", ".js", ".ts", ".tsx", ".jsx", ".java", ".c", ".h", ".cc", ".cpp", ".hpp"), Format.SOURCE),
    **dict.fromkeys((".cs", ".go", ".rs", ".rb", ".php", ".sh", ".sql", ".css", ".tex", ".r"), Format.SOURCE),
    **dict.fromkeys((".eml", ".mht", ".mhtml"), Format.EML),
    ".mbox": Format.MBOX,
    **dict.fromkeys((".html", ".htm", ".xhtml"), Format.HTML),
    **dict.fromkeys((".xml", ".nxml"), Format.XML),
}
# Plain text under one of these names is a broken or mislabelled file, not a document.
_BINARY_NAME = re.compile(r"\.(pdf|docx|pptx|xlsx|od[tsp]|epub|zip|jpe?g|png|heic|msg|ppt)")

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": Format.PNG,
    b"\xff\xd8\xff": Format.JPEG,
    b"GIF87a": Format.GIF,
    b"GIF89a": Format.GIF,
    b"II*\0": Format.TIFF,
    b"MM\0*": Format.TIFF,
}
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_ARCHIVES = {b"\x1f\x8b": Format.GZIP, b"BZh": Format.BZIP2, b"\xfd7zXZ\0": Format.XZ}
_UNREADABLE_ARCHIVES = (_SEVEN_ZIP, b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd")
_XML_START = re.compile(r"\s*<(\?xml|svg)\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HTML_START = re.compile(r"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_MBOX_START = re.compile(r"From \S+ .*\d\d:\d\d.*\d{4}\r?\n[!-9;-~]+:")
_HEADER = re.compile(r"[!-9;-~]+:[ \t]?[^\r\n]*\r?\n([ \t][^\r\n]*\r?\n)*")
_MAIL_HEADERS = frozenset(("from", "to", "subject", "date", "message-id", "received", "return-path", "mime-version"))
# What only programs write: people begin memos with "To:" and "Date:" as well.
_BY_PROGRAM = re.compile(r"(message-id:\s*<|mime-version:\s*1|received:\s*(from|by|\())", re.IGNORECASE)


def detect(path: Path, filename: str, limits: Limits) -> Format:
    """The format of the file at `path`, once called `filename`.

    Raises DocumentError: empty_file, no_text_layer (a film, a picture of Apple's), encrypted_file, unsupported_file,
    invalid_file, too_large.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip(b"\0 \t\r\n"):
        raise DocumentError("This file is empty. Upload a version that has content.", code="empty_file")
    if head.lstrip().startswith(b"%PDF-") or (b"%PDF-" in head[:1024] and b" obj" in head):
        return Format.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _known(container.kind(path, limits))
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        from ingestion.parse import ole

        return _known(ole.kind(path))
    if head.startswith(b"{\\rtf"):
        return Format.RTF
    if binary := _by_mark(head):
        return binary
    if head.startswith(_SEVEN_ZIP):
        container.refuse_encrypted_7z(path)
    _refuse_binary(head)
    return _of_text(decode(head), PurePath(filename).suffix.lower())


def _by_mark(head: bytes) -> Format | None:
    """The format of an archive or a picture, by its first bytes."""
    if head[257:262] == b"ustar":
        return Format.TAR
    if head[8:12] == b"WEBP":
        return Format.WEBP
    if head.startswith(b"BM") and b"\0" in head:
        return Format.BMP
    return next((kind for mark, kind in (_ARCHIVES | _PICTURES).items() if head.startswith(mark)), None)


def _known(media_type: str) -> Format:
    try:
        return Format(media_type)
    except ValueError as error:
        raise _unsupported() from error


def _unsupported() -> DocumentError:
    return DocumentError(
        "This kind of file cannot be read. Save it as PDF, Word, PowerPoint, Excel, OpenDocument, HTML or text.",
        code="unsupported_file",
    )


def _refuse_binary(head: bytes) -> None:
    """Name the common formats that hold no text, so that their owner learns more than that they are binary."""
    if head[4:8] == b"ftyp":
        raise DocumentError(
            "This is a picture or a video without a text layer. Run text recognition (OCR) and upload the result.",
            code="no_text_layer",
        )
    if head.startswith(_UNREADABLE_ARCHIVES):
        raise DocumentError(
            "This kind of archive cannot be unpacked. Make it a zip, or upload the documents inside.",
            code="unsupported_file",
        )


def _of_text(head: str, suffix: str) -> Format:
    if _unprintable(head) > len(head) // 50:
        raise _unsupported()
    named = _BY_NAME.get(suffix)
    if _HTML_START.match(_COMMENT.sub("", head)):
        return Format.HTML
    if _XML_START.match(head):
        return Format.HTML if "<html" in head else Format.XML
    if named is not None:
        return named
    if _MBOX_START.match(head):
        return Format.MBOX
    if _is_mail(head):
        return Format.EML
    if _BINARY_NAME.fullmatch(suffix):
        raise DocumentError(
            f"The name ends in {suffix}, but the file holds plain text: it is damaged or misnamed. Export it again.",
            code="invalid_file",
        )
    return Format.TEXT


def _unprintable(text: str) -> int:
    return sum(1 for char in text if char == "\ufffd" or (char < " " and char not in "\t\n\r\f\v\x1b"))


def _is_mail(head: str) -> bool:
    """Whether `head` begins with header fields, at least two of which only a message has, and one only by a program."""
    names, at, by_program = set(), 0, False
    while field := _HEADER.match(head, at):
        names.add(field.group().partition(":")[0].lower())
        by_program = by_program or _BY_PROGRAM.match(field.group()) is not None
        at = field.end()
    return by_program and len(names & _MAIL_HEADERS) >= 2
