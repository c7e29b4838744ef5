"""What a process and its children use: CPU seconds by part, and memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

MEBIBYTE = 1 << 20
_EVERY_S = 0.1
_PARTS = {"ingestion.parse.child": "parsers", "valkey": "queue", "optimise_shard": "graph"}  # else: the service itself


@dataclass(slots=True)
class Usage:
    """CPU seconds of each part, and the largest resident memory that was seen, in MiB.

    The sum over processes counts pages that they share once for each: it is an upper bound.
    """

    cpu_s: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    peak_main_mib: float = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Usage]:
    """Watch a process and its children during the block; the usage is complete after it."""
    main, usage, ended = psutil.Process(pid), Usage(), threading.Event()
    before = _cpu_s(main)

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            sizes = [_resident_mib(process) for process in _family(main)]
            usage.peak_mib = max(usage.peak_mib, sum(sizes))
            usage.peak_main_mib = max(usage.peak_main_mib, sizes[0])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield usage
    finally:
        ended.set()
        watcher.join()
        usage.cpu_s = {part: spent - before.get(part, 0.0) for part, spent in _cpu_s(main).items()}


def _family(main: psutil.Process) -> list[psutil.Process]:
    return [main, *main.children(recursive=True)]


def _cpu_s(main: psutil.Process) -> dict[str, float]:
    spent: dict[str, float] = {}
    for process in _family(main):
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        part = next((part for mark, part in _PARTS.items() if mark in command), "service")
        spent[part] = spent.get(part, 0.0) + times.user + times.system
        # Children that ended and were waited for.
        spent["ended"] = spent.get("ended", 0.0) + times.children_user + times.children_system
    return spent


def _resident_mib(process: psutil.Process) -> float:
    try:
        resident: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return resident / MEBIBYTE
