"""A progress bar on standard error; nothing but the end where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

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

    def finished(self, total: int) -> None:
        """So many documents are done."""
        self.progress.update(self.documents, completed=total)


@contextmanager
def shown_progress(total: int) -> Iterator[Bars]:
    """Bars for `total` documents, gone when the block ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        yield Bars(progress, progress.add_task("uploaded", total=total), progress.add_task("completed", total=total))
