"""The cells of a table on a PDF page, in rows and columns."""

from collections.abc import Iterator, Sequence

from ingestion.parse.pdf_glyphs import Line


def aligned(rows: Sequence[list[Line]]) -> Iterator[tuple[list[str], list[Line]]]:
    """The cells of each row under the columns that they overlap, and its lines.

    A row without a first cell continues the one above.
    """
    edges = _columns(rows)
    waiting: list[str] = []
    lines: list[Line] = []
    above: Sequence[Line] = ()
    for row in rows:
        cells = [""] * len(edges)
        for line in row:
            column = max(range(len(edges)), key=lambda index: _overlap(line, edges[index]))
            cells[column] = f"{cells[column]} {line.shown}".strip()
        if waiting and not cells[0] and gap(above, row) < 0.4 * row[0].height:
            waiting = [f"{upper} {lower}".strip() for upper, lower in zip(waiting, cells, strict=True)]
            lines += row
        else:
            if waiting:
                yield waiting, lines
            waiting, lines = cells, list(row)
        above = row
    if waiting:
        yield waiting, lines


def _columns(rows: Sequence[list[Line]]) -> list[tuple[float, float]]:
    """The horizontal extents of the columns: cells that overlap share one, unless a row has them side by side."""
    widest = max(rows, key=len)
    edges = [(line.left, line.right) for line in widest]
    for row in rows:
        for line in row:
            if all(_overlap(line, edge) <= 0 for edge in edges):
                edges.append((line.left, line.right))
    return sorted(edges)


def _overlap(line: Line, edge: tuple[float, float]) -> float:
    return min(line.right, edge[1]) - max(line.left, edge[0])


def gap(above: Sequence[Line], below: Sequence[Line]) -> float:
    """White space between two rows; far too much when the second does not lie below the first."""
    gap = min(line.bottom for line in above) - max(line.top for line in below)
    return gap if gap > -above[0].height else 1e6
