"""Comma, semicolon and tab separated values."""

import csv
import io
from pathlib import Path

from ingestion.parse.draft import Draft
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.tables import table

DELIMITERS = ",;\t|"


def parse(path: Path, limits: Limits) -> Draft:
    """One table."""
    text = decode(path.read_bytes())
    csv.field_size_limit(limits.max_text_chars)
    return Draft(table(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))))


def _delimiter(text: str) -> str:
    """The candidate that the first line with one holds most often: header cells rarely contain any."""
    for line in text.splitlines()[:20]:
        best = max(DELIMITERS, key=line.count)
        if best in line:
            return best
    return ","
