"""What ten times the documents, the same documents again, and a change of some cost a service.

One service takes a tenth of the files, then the others, then the tenth again in another store, then one file in a
hundred with a new paragraph in its middle.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from api.cli.ingestion import Source
from api.wire.documents import DocumentChunk
from bench.ingest_service import IngestService, ingest_service
from bench.processes import Usage, watched
from bench.report import print_table

TIMES = 10
_STORE, _SECOND_STORE = "bench", "bench-again"
_CHANGED_SHARE = 100  # one file of so many


@dataclass(frozen=True, slots=True)
class Work:
    """What one step was given, and the texts that were embedded and should have been."""

    step: str
    files: int
    chunks: int
    embedded: int
    expected: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it embedded what it had to, and no more; the first runs may."""
        return self.expected is None or self.embedded == self.expected


def measure_growth(sources: Sequence[Source]) -> bool:
    """Print memory and what was embedded; whether no text was embedded without need."""
    tenth = sources[: len(sources) // TIMES]
    with ingest_service() as service, watched(service.pid) as usage:
        done = [_ingested(service, "first files", _STORE, tenth)]
        small = (usage.peak_main_mib, usage.peak_mib)
        done.append(_ingested(service, "all files", _STORE, sources))
        _print_memory(len(tenth), len(sources), small, usage)
        done.append(_ingested(service, "all files once more", _STORE, sources, expected=0))
        done.append(_ingested(service, "first files in another store", _SECOND_STORE, tenth, expected=0))
        done.append(_changed(service, sources))
        failed = service.failed(_STORE) + service.failed(_SECOND_STORE)
    rows = [[one.step, one.files, one.chunks, one.embedded, one.expected] for one in done]
    print_table(["step", "files", "chunks", "texts embedded", "expected"], rows)
    if failed:
        print(f"{failed} documents failed: the figures do not count.")
    return not failed and all(one.holds for one in done)


def _ingested(
    service: IngestService, step: str, store_name: str, sources: Sequence[Source], expected: int | None = None
) -> Work:
    before = service.texts_embedded()
    service.ingest(store_name, sources)
    embedded = service.texts_embedded() - before
    chunks = service.chunks(store_name)
    return Work(step, len(sources), sum(len(chunks[one.key]) for one in sources), embedded, expected)


def _changed(service: IngestService, sources: Sequence[Source]) -> Work:
    """Every hundredth file with one paragraph more: what is embedded are the texts that no chunk had before."""
    known = {chunk.text for chunks in service.chunks(_STORE).values() for chunk in chunks}
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
        some = [_with_a_paragraph(source, Path(folder)) for source in sources[::_CHANGED_SHARE]]
        work = _ingested(service, "one file in a hundred changed", _STORE, some)
    new = _texts(service.chunks(_STORE), some) - known
    return Work(work.step, work.files, work.chunks, work.embedded, expected=len(new))


def _with_a_paragraph(source: Source, folder: Path) -> Source:
    lines = source.path.read_text("utf-8").split("\n\n")
    middle = len(lines) // 2
    paragraph = f"A paragraph that was not in {source.key} before: it says that one thing changed and all else stayed."
    copy = folder / source.key
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text("\n\n".join([*lines[:middle], paragraph, *lines[middle:]]), "utf-8")
    return Source(copy, source.key)


def _texts(chunks: dict[str, list[DocumentChunk]], sources: Sequence[Source]) -> set[str]:
    return {chunk.text for source in sources for chunk in chunks[source.key]}


def _print_memory(few: int, many: int, small: tuple[float, float], usage: Usage) -> None:
    large = (usage.peak_main_mib, usage.peak_mib)
    rows = [
        [name, before, after, (after - before) * 1024 / (many - few)]
        for name, before, after in zip(("service", "with its children*"), small, large, strict=True)
    ]
    print_table(["peak RSS, MiB", f"{few} files", f"{many} files", "KiB a file more"], rows)
    print("* at most: pages that processes share are counted for each\n")
