"""The one thread that keeps the graphs of the embedded engine up to date."""

import logging
import queue
import subprocess
import sys
import threading
from pathlib import Path

from indexes.engines import optimise_shard
from indexes.engines.edge_version import EdgeVersion
from indexes.errors import CitewellError, NotFound, Unavailable

log = logging.getLogger(__name__)

_PAUSE_S = 30.0  # before trying again what failed, or was written to too fast


class EdgeUpkeep:
    """Optimises versions one after another, each in a child process of low priority."""

    def __init__(self) -> None:
        self._due: queue.SimpleQueue[EdgeVersion | None] = queue.SimpleQueue()
        self._waiting: set[EdgeVersion] = set()
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="edge-upkeep", daemon=True)
        self._thread.start()

    def submit(self, version: EdgeVersion) -> None:
        """Optimise the version soon; nothing happens if it waits already."""
        if version not in self._waiting:
            self._waiting.add(version)
            self._due.put(version)

    def build(self, shard: Path, number_fields: list[str]) -> None:
        """Optimise a shard that nobody has open, in a child process. Raises Unavailable if that fails."""
        # -P: the program's own folder holds a qdrant_edge.py and must not come first on the path.
        command = [sys.executable, "-P", optimise_shard.__file__, str(shard), *number_fields]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:  # noqa: S603
            self._child = child
            if self._closing.is_set():
                child.terminate()
            _, problem = child.communicate()
            self._child = None
        if child.returncode != 0:
            last = problem.decode(errors="replace").strip().rpartition("\n")[2]
            raise Unavailable(f"optimising ended with status {child.returncode}: {last}")

    def close(self) -> None:
        """Stop; a version being optimised stays as it was."""
        self._closing.set()
        self._due.put(None)
        if child := self._child:
            child.terminate()
        self._thread.join()

    def _run(self) -> None:
        while (version := self._due.get()) is not None:
            done = not version.due() or self._optimise(version)
            self._waiting.discard(version)
            if not done and version.due() and not self._closing.wait(_PAUSE_S):
                self.submit(version)

    def _optimise(self, version: EdgeVersion) -> bool:
        """Whether there is nothing to try again."""
        try:
            return version.optimise(self.build)
        except NotFound:
            return True  # dropped in the meantime
        except (CitewellError, OSError) as error:
            if not self._closing.is_set():
                log.warning("index version %s was not optimised, trying again: %s", version.folder.name, error)
            return False
