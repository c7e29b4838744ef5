"""Rich Text Format: paragraphs and table rows, without styles."""

from itertools import groupby
from pathlib import Path

from ingestion.parse.draft import Draft, Piece
from ingestion.parse.limits import Limits
from ingestion.parse.tables import table

_CELL = "|"


def parse(path: Path, limits: Limits) -> Draft:
    """One piece a paragraph, one for each run of table rows."""
    from striprtf.striprtf import rtf_to_text

    # RTF is ASCII; what is beyond it is escaped in the code page that the file names.
    text = rtf_to_text(path.read_bytes().decode("latin-1"), encoding="cp1252", errors="replace")
    found: list[Piece] = []
    for is_row, lines in groupby(text.split("\n"), key=lambda line: line.rstrip().endswith(_CELL)):
        if is_row:
            found += table(line.rstrip().removesuffix(_CELL).split(_CELL) for line in lines)
        else:
            found += map(Piece, lines)
    return Draft(found)
