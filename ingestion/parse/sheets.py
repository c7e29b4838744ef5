"""Workbooks (.xlsx, .xlsm, .xls): each sheet is a heading and its table. Formulas show the value last computed."""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime, time
from pathlib import Path

from ingestion.parse.container import encrypted, open_zip
from ingestion.parse.draft import Draft, Piece, heading
from ingestion.parse.limits import Limits
from ingestion.parse.tables import table
from ingestion.parse.word import core_properties


def parse_xlsx(path: Path, limits: Limits) -> Draft:
    """Sheets in order, read row by row. Hidden sheets are read too: they are found, not shown."""
    import openpyxl

    with open_zip(path, limits) as archive:
        metadata = core_properties(archive)
    title = metadata.pop("title", None)
    # By its bytes: openpyxl would judge the file by its name.
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True, keep_links=False)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # What a file says of its size can be a lie of 17 billion cells.
    sheets = ((sheet.title, sheet.iter_rows(values_only=True)) for sheet in book.worksheets)
    hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
    where = f"on hidden sheets ({', '.join(hidden)[:200]})" if hidden else ""
    return Draft(_pieces(sheets), str(title) if title else None, metadata, hidden=where)


def parse_xls(path: Path, limits: Limits) -> Draft:
    """As `parse_xlsx`, for workbooks before 2007."""
    import xlrd

    try:
        # xlrd prints its doubts; they are of no use to the owner.
        book = xlrd.open_workbook(path, logfile=io.StringIO(), on_demand=True)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise encrypted("workbook") from error
        raise
    sheets = ((name, _xls_rows(book, name)) for name in book.sheet_names())
    return Draft(_pieces(sheets))


def _xls_rows(book: "xlrd.Book", name: str) -> Iterator[list[object]]:  # type: ignore[name-defined]  # noqa: F821
    from xlrd import XL_CELL_BOOLEAN, XL_CELL_DATE, XL_CELL_ERROR
    from xlrd.xldate import xldate_as_datetime

    sheet = book.sheet_by_name(name)
    for row in sheet.get_rows():
        cells: list[object] = []
        for cell in row:
            match cell.ctype:
                case kind if kind == XL_CELL_DATE:
                    cells.append(xldate_as_datetime(cell.value, book.datemode))
                case kind if kind == XL_CELL_BOOLEAN:
                    cells.append(bool(cell.value))
                case kind if kind == XL_CELL_ERROR:
                    cells.append(None)
                case _:
                    cells.append(cell.value)
        yield cells
    book.unload_sheet(name)


def _pieces(sheets: Iterable[tuple[str, Iterable[Iterable[object]]]]) -> Iterator[Piece]:
    for name, rows in sheets:
        for index, piece in enumerate(table([_shown(cell) for cell in row] for row in rows)):
            if index == 0:
                yield heading(name, 1)
            yield piece


def _shown(cell: object) -> str:
    """A value as a reader would see it: no `.0`, no midnight, no binary noise of floats."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float():
            return f"{cell:.12g}" if abs(cell) < 1e15 else str(cell)
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime():
            return cell.isoformat(" ", "seconds")
        case _:
            return str(cell)
