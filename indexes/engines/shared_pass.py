"""The questions of many threads, answered in common passes over the memory of a device."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from indexes.engines.faiss_scan import Numbers
from indexes.model import Vector

_MOST = 64
"""Questions of one pass: as many as cost hardly more than one, while reading the vectors is what takes the time."""


@dataclass(eq=False, slots=True)
class _Question:
    query: Vector
    fetch: int
    found: Numbers | Exception | None = None


class SharedPass:
    """Who finds the device free answers all that wait; nobody waits for others to come.

    Threads that block, not the tasks of `indexes.lane`: a search is one call of a thread, and a hand-over to another
    one would cost more than a small search.
    """

    def __init__(self, answer: Callable[[Vector, int], Sequence[Numbers]]) -> None:
        """`answer` gives so many rows, best first, for each of some queries, shape (queries, dimension).

        One call at a time.
        """
        self._answer = answer
        self._calling = threading.Lock()
        self._waiting: deque[_Question] = deque()

    def search(self, query: Vector, fetch: int) -> Numbers:
        """The best `fetch` rows, best first, for a query of shape (dimension,). Raises what its pass does."""
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
        for one, rows in zip(questions, found, strict=True):
            one.found = rows[: one.fetch]
