"""Comma, semicolon and tab separated values."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ingestion.parse.draft import Draft, Piece, table
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits

ROWS_PER_BLOCK = 50
DELIMITERS = ",;\t|"


def parse(path: Path, limits: Limits) -> Draft:
    """One table, cut into blocks of 50 rows; each block begins with the header so that it can be read alone."""
    text = decode(path.read_bytes())
    csv.field_size_limit(limits.max_text_chars)
    return Draft(blocks(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))))


def blocks(rows: Iterable[Iterable[str]], page: int | None = None) -> Iterator[Piece]:
    """`rows`, the first of which is the header, as table pieces."""
    filled = (row for row in map(list, rows) if any(cell.strip() for cell in row))
    header = next(filled, None)
    if header is None:
        return
    part = list(islice(filled, ROWS_PER_BLOCK))
    yield table([header, *part], page)
    while part := list(islice(filled, ROWS_PER_BLOCK)):
        yield table([header, *part], page)


def _delimiter(text: str) -> str:
    """The candidate that the first line with one holds most often: header cells rarely contain any."""
    for line in text.splitlines()[:20]:
        best = max(DELIMITERS, key=line.count)
        if best in line:
            return best
    return ","
