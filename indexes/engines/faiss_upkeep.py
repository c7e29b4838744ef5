"""The one thread that loads and merges the versions of the FAISS engine, at low priority."""

import logging
import os
import queue
import threading
import time
from collections import deque
from contextlib import suppress

import faiss

from indexes.engines.device_memory import DeviceMemory
from indexes.engines.faiss_part import Stopped
from indexes.engines.faiss_version import FaissVersion
from indexes.errors import CitewellError, NotFound

log = logging.getLogger(__name__)

_PAUSE_S = 10.0  # before trying again what failed
_JOIN_S = 5.0  # a thread deep in FAISS is left behind: it changes nothing more
_NICE = 10


class FaissUpkeep:
    """Sees to versions one after another. At most `kept` of them stay in memory, those used last."""

    def __init__(self, kept: int, threads: int, memory: DeviceMemory | None = None) -> None:
        self._memory = memory
        self._kept = kept
        self._threads = threads
        self._due: queue.SimpleQueue[FaissVersion | None] = queue.SimpleQueue()
        self._again: deque[tuple[float, FaissVersion]] = deque()  # what failed, and when to try it
        self._waiting: set[FaissVersion] = set()
        self._loaded: set[FaissVersion] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faiss-upkeep", daemon=True)
        self._thread.start()

    def submit(self, version: FaissVersion) -> None:
        """See to the version soon; nothing happens if it waits already."""
        if version not in self._waiting and not self._closing.is_set():
            self._waiting.add(version)
            self._due.put(version)

    def close(self) -> None:
        """Stop; what is being built is built at the next start."""
        self._closing.set()
        self._due.put(None)
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        faiss.omp_set_num_threads(self._threads)  # of calls from this thread, which alone has many rows at once
        while (version := self._next()) is not None and not self._closing.is_set():
            if self._tend(version):
                self._waiting.discard(version)
            else:
                self._again.append((time.monotonic() + _PAUSE_S, version))

    def _next(self) -> FaissVersion | None:
        """What was submitted first, or what is to be tried again by now."""
        if not self._again:
            return self._due.get()
        at, version = self._again[0]
        if (rest_s := at - time.monotonic()) > 0:
            with suppress(queue.Empty):
                return self._due.get(timeout=rest_s)
        self._again.popleft()
        return version

    def _tend(self, version: FaissVersion) -> bool:
        """Whether there is nothing to try again."""
        try:
            if not version.loaded:
                version.load()
                self._make_room(version)
            if version.due():
                version.merge(self._closing)
            if self._memory:
                self._memory.arrange([each for each in self._loaded if each.loaded])
        except (NotFound, Stopped):
            return True  # dropped, or closing
        except Exception as error:  # this thread must outlive whatever FAISS raises
            if version.dropped:
                return True
            expected = isinstance(error, (CitewellError, OSError, MemoryError))
            text = "FAISS index of %s waits, and the engine within answers: %s"
            log.warning(text, version.version_id, error, exc_info=not expected)
            return False
        return not version.due()

    def _make_room(self, version: FaissVersion) -> None:
        self._loaded = {each for each in {*self._loaded, version} if each.loaded}
        for each in sorted(self._loaded, key=lambda one: one.used_s)[: max(0, len(self._loaded) - self._kept)]:
            if each is not version:
                each.release()
