"""What strikes strike: processes, and an api's door to the outside."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import psutil

from indexes.index import Engine


class Door:
    """One api, and when its requests may fail: while something is struck that it cannot do without."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.closed = False
        self._opened_at = 0.0

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        self.closed = True
        try:
            yield
        finally:
            self._opened_at = time.monotonic()
            self.closed = False

    def was_closed_since(self, moment: float) -> bool:
        return self.closed or self._opened_at >= moment


class Installation(Protocol):
    """What is struck."""

    home: Path
    doors: Sequence[Door]

    def strike(self, fault: str, dice: random.Random) -> None:
        """Kill something, and start again what nobody else starts; returns once it is back."""

    def rows(self, query: str) -> list[Any]:
        """Rows of the catalog."""

    def engine(self) -> contextlib.AbstractContextManager[Engine]:
        """The vectors; the installation may have to stop for that."""


@dataclass
class Process:
    """One command as a process of its own."""

    command: Sequence[str]
    environment: dict[str, str]
    log: Path

    @classmethod
    def citewell(cls, name: str, environment: dict[str, str], log: Path) -> Self:
        return cls([sys.executable, "-m", "api.cli.main", name], environment, log)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout=30)


def kill_children(pid: int, name: str) -> None:
    """SIGKILL to the children of a process whose command line has this name in it."""
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(child.cmdline()):
                child.kill()
