"""A progress bar on standard error; nothing but the end where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from api.cli.output import notes


@dataclass(frozen=True, slots=True)
class Bars:
    """Two bars: documents uploaded, and documents whose work is done."""

    progress: Progress
    uploads: TaskID
    documents: TaskID

    def uploaded(self) -> None:
        """One more document is uploaded, or need not be."""
        self.progress.advance(self.uploads)

    def working(self, finished: int, chunks_done: int, chunks_total: int, eta_s: float | None) -> None:
        """So many documents are done; chunks are those of the whole store, the estimate is the server's."""
        note = f"{chunks_done:,}/{chunks_total:,} chunks"
        if eta_s is not None:
            note += f", {timedelta(seconds=round(eta_s))} left"
        self.progress.update(self.documents, completed=finished, note=note)


@contextmanager
def shown_progress(total: int) -> Iterator[Bars]:
    """Bars for `total` documents, gone when the block ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        uploads = progress.add_task("uploaded", total=total, note="")
        yield Bars(progress, uploads, progress.add_task("completed", total=total, note=""))
