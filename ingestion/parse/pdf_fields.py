"""What was filled into the form of a PDF. It is no part of the pages' text."""

import ctypes
from collections.abc import Callable, Iterator

import pypdfium2
from pypdfium2 import raw

from indexes.model import BlockKind
from ingestion.parse.draft import Piece
from ingestion.parse.pdf_glyphs import PAGE_ERRORS

_SHOWN = frozenset((raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX))
_TICKED = frozenset((raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON))
_PASSWORD = 1 << 13
MAX_FIELDS_PER_PAGE = 2_000


def read_fields(document: pypdfium2.PdfDocument) -> dict[int, list[Piece]]:
    """`name: value` of the fields that are filled in, by page (from 1). To be called before a page is opened."""
    if document.get_formtype() == raw.FORMTYPE_NONE:
        return {}
    try:
        document.init_forms()
    except pypdfium2.PdfiumError:  # The pages can still be read.
        return {}
    found = {}
    for index in range(len(document)):
        try:
            found[index + 1] = list(_fields(document, document[index], index + 1))
        except PAGE_ERRORS:
            continue  # The text of the page says so.
    return found


def _fields(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, number: int) -> Iterator[Piece]:
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MAX_FIELDS_PER_PAGE)):
        field = raw.FPDFPage_GetAnnot(page, index)
        try:
            if _is_filled(document, field):
                name = _text(document, field, raw.FPDFAnnot_GetFormFieldAlternateName)
                name = name or _text(document, field, raw.FPDFAnnot_GetFormFieldName)
                if value := _text(document, field, raw.FPDFAnnot_GetFormFieldValue):
                    yield Piece(f"{name}: {value}", BlockKind.LIST_ITEM, page=number)
        finally:
            raw.FPDFPage_CloseAnnot(field)


def _is_filled(document: pypdfium2.PdfDocument, field: raw.FPDF_ANNOTATION) -> bool:
    kind = raw.FPDFAnnot_GetFormFieldType(document.formenv, field)
    if kind in _TICKED:
        return bool(raw.FPDFAnnot_IsChecked(document.formenv, field))
    return kind in _SHOWN and not raw.FPDFAnnot_GetFormFieldFlags(document.formenv, field) & _PASSWORD


def _text(document: pypdfium2.PdfDocument, field: raw.FPDF_ANNOTATION, read: Callable[..., int]) -> str:
    size = read(document.formenv, field, None, 0)
    buffer = ctypes.create_string_buffer(size)
    read(document.formenv, field, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0").strip()
