"""The questions of many threads, answered in common passes over the memory of a device."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from indexes.engines.faiss_scan import Nearest
from indexes.model import Vector

_MOST = 64
"""Questions of one pass: as many as cost hardly more than one, while reading the vectors is what takes the time."""


@dataclass(eq=False, slots=True)
class _Question:
    query: Vector
    fetch: int
    found: Nearest | Exception | None = None


class SharedPass:
    """Who finds the device free answers all that wait; nobody waits for others to come.

    Threads that block, not the tasks of `indexes.lane`: a search is one call of a thread, and a hand-over to another
    one would cost more than a small search.
    """

    def __init__(self, answer: Callable[[Vector, int], list[Nearest]], calling: threading.Lock) -> None:
        """`answer` gives the best so many rows for each of some queries, shape (queries, dimension).

        It is called while `calling` is held, which is one lock for all that the device holds.
        """
        self._answer = answer
        self._calling = calling
        self._waiting: deque[_Question] = deque()

    def search(self, query: Vector, fetch: int) -> Nearest:
        """The best `fetch` rows for a query of shape (dimension,). Raises what its pass does."""
        question = _Question(query, fetch)
        self._waiting.append(question)
        with self._calling:
            while question.found is None:
                self._pass()
        if isinstance(question.found, Exception):
            raise question.found
        return question.found

    def _pass(self) -> None:
        questions = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        try:
            found = self._answer(np.stack([one.query for one in questions]), max(one.fetch for one in questions))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for one in questions:
                one.found = error
            return
        for one, nearest in zip(questions, found, strict=True):
            one.found = nearest.top(one.fetch)
