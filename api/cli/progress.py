"""Progress bars on standard error; nothing where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from api.cli.output import duration, notes


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
            note += f", {duration(eta_s)} left"
        self.progress.update(self.documents, completed=finished, note=note)


@contextmanager
def shown_progress(total: int) -> Iterator[Bars]:
    """Bars for `total` documents, gone when the block ends."""
    with _progress() as progress:
        uploads = progress.add_task("uploaded", total=total, note="")
        yield Bars(progress, uploads, progress.add_task("completed", total=total, note=""))


@dataclass(frozen=True, slots=True)
class BuildBar:
    """One bar: documents that an index version holds, of those that it must."""

    progress: Progress
    documents: TaskID

    def building(self, done: int, total: int, eta_s: float | None, *, paused: bool) -> None:
        """So many documents are in it; the estimate is the server's."""
        note = "paused" if paused else "" if eta_s is None else f"{duration(eta_s)} left"
        self.progress.update(self.documents, completed=done, total=total, note=note)


@contextmanager
def shown_build() -> Iterator[BuildBar]:
    """A bar for the build of an index version, gone when the block ends."""
    with _progress() as progress:
        yield BuildBar(progress, progress.add_task("documents", total=None, note=""))


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal)
