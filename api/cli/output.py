"""What commands print: people read tables, programs read JSON lines."""

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pydantic import BaseModel
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

console = Console(highlight=False, soft_wrap=True)
notes = Console(stderr=True, highlight=False)


def print_json(objects: Iterable[BaseModel]) -> None:
    """One JSON object a line, on standard output."""
    for item in objects:
        sys.stdout.write(item.model_dump_json() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table, on standard output. Text is shown as it is, never as markup."""
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    # Lines fold at the edge of a terminal; in a pipe they stay whole.
    wide = console if console.is_terminal else Console(width=10_000)
    wide.print(table)


def place(key: str, page: int | None, offset: int) -> str:
    """Where a quote stands: `file:page:offset`, the page `-` in formats without pages."""
    return f"{key}:{page or '-'}:{offset}"


def when(moment: float | None) -> str | None:
    """A moment in Unix seconds, in UTC."""
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def duration(seconds: float) -> str:
    """A length of time, to the second."""
    return str(timedelta(seconds=round(seconds)))
