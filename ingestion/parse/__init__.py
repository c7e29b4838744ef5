"""Bytes to canonical text.

`parse(path, filename)` reads one file and answers with its `CanonicalText`, or raises `DocumentError` with one of the
codes that class lists and a sentence for the owner of the file. It is plain, blocking code that may take seconds and
hundreds of megabytes: `ingestion.children` runs it in limited processes.

- The format is decided by content; the name only tells kinds of plain text apart (`detect`).
- Each family of formats has one module with functions `(path, limits) -> Draft`: ordered pieces, no offsets yet.
- `assemble` normalises the pieces, joins them and counts the offsets. Nothing changes the text afterwards.
- `artefact` turns the result into bytes and back.
- `scan` is how pictures of text are read, by a recogniser that runs beside the parsers.
- `unpack` takes out what is in mails and archives, as files of their own.

Nothing here opens a connection, follows a reference, expands an entity, or runs a macro or a script. Only `scan` and
`unpack` write files, into the folders they are given.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from indexes.errors import DocumentError
from indexes.model import CanonicalText
from ingestion.parse import archive
from ingestion.parse.assemble import assemble
from ingestion.parse.detect import ARCHIVES, CONTAINERS, PICTURES, Format, detect
from ingestion.parse.draft import Draft, Parser
from ingestion.parse.limits import Limits

__all__ = ["CONTAINERS", "PARSER_VERSION", "Format", "Limits", "parse"]

# Raise it with every change that can alter the text of any file: artefacts and index versions are keyed by it.
PARSER_VERSION = "citewell-parse/4"

# By name, so that a child only imports the libraries of the formats it meets.
_PARSERS: Mapping[Format, str] = {
    Format.DOCX: "word:parse",
    Format.PPTX: "slides:parse",
    Format.XLSX: "sheets:parse_xlsx",
    Format.ODT: "opendocument:parse",
    Format.ODS: "opendocument:parse",
    Format.ODP: "opendocument:parse",
    Format.EPUB: "book:parse",
    Format.DOC: "doc:parse",
    Format.PPT: "ppt:parse",
    Format.XLS: "sheets:parse_xls",
    Format.MSG: "mail:parse_msg",
    Format.RTF: "rtf:parse",
    Format.HTML: "web:parse",
    Format.XML: "xml:parse",
    Format.EML: "mail:parse_eml",
    Format.MBOX: "mail:parse_mbox",
    Format.MARKDOWN: "markdown:parse",
    Format.CSV: "delimited:parse",
    Format.RST: "rst:parse",
    Format.ASCIIDOC: "asciidoc:parse",
    Format.SOURCE: "plain:parse_source",
    Format.TEXT: "plain:parse_text",
}


def parse(path: Path, filename: str, limits: Limits | None = None, desk: Path | None = None) -> CanonicalText:
    """The canonical text of the file at `path`, which its owner called `filename`.

    Pictures of text are laid on `desk`, if there is one, and what was recognised in them is taken from it (see `scan`).

    Raises DocumentError when the document cannot be ingested, OSError when the file itself cannot be read, and
    MemoryError when memory ran out; time is for the caller to bound.
    """
    limits = limits or Limits()
    path.stat()
    try:
        kind = detect(path, filename, limits)
        return assemble(_draft(kind, path, filename, limits, desk), kind, limits)
    except (DocumentError, MemoryError, ImportError):  # A missing library is not the document's fault.
        raise
    except Exception as error:  # Parsers of foreign formats raise anything at all on broken input.
        raise DocumentError(
            "This file is damaged, or not what its name says. Open it, save it again and upload that.",
            code="invalid_file",
        ) from error


def _draft(kind: Format, path: Path, filename: str, limits: Limits, desk: Path | None) -> Draft:
    if kind in ARCHIVES:
        return archive.parse(path, filename, limits)
    if kind is Format.PDF or kind in PICTURES:
        from ingestion.parse import pdf, picture

        return (pdf.parse if kind is Format.PDF else picture.parse)(path, limits, desk)
    return _parser(kind)(path, limits)


def _parser(kind: Format) -> Parser:
    module, _, function = _PARSERS[kind].partition(":")
    parser: Parser = getattr(import_module(f"{__name__}.{module}"), function)
    return parser
