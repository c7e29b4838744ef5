"""A process and everything that ever descended from it: how much memory each took, and whether it is gone."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PARSER = "ingestion.parse.child"
_EVERY_S = 0.05
_GONE_S = 10.0


class Family(threading.Thread):
    """Looks on until it is stopped; what lives for less than `_EVERY_S` may be missed."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.parent = psutil.Process(pid)
        self.peaks: dict[psutil.Process, int] = {}
        """The most resident memory of each, in bytes."""
        self.commands: dict[psutil.Process, str] = {}
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self.look()

    def look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (self.parent, *self.parent.children(recursive=True)):
                with contextlib.suppress(OSError, KeyError, psutil.NoSuchProcess):
                    self.peaks[process] = peak(process.pid)
                    self.commands[process] = " ".join(process.cmdline())

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def parsers(self) -> list[psutil.Process]:
        """All parser children that were seen."""
        return [process for process, command in self.commands.items() if PARSER in command]

    def left(self) -> list[str]:
        """Who of all of them still lives some seconds later."""
        deadline = time.monotonic() + _GONE_S
        while (alive := [process for process in self.peaks if lives(process)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [self.commands.get(process, "?") for process in alive]


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Family]:
    family = Family(pid)
    family.start()
    try:
        yield family
    finally:
        family.stop()


def lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def peak(pid: int, name: str = "VmHWM") -> int:
    """The most resident memory that a process has had, in bytes; as `VmPeak` the most address space.

    Raises KeyError for a process that has ended but was not waited for.
    """
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {line[0]: int(line[1]) * 1024 for line in lines if line[0] == f"{name}:"}[f"{name}:"]
