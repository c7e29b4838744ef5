"""Arrays that grow at their end while others read them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

_FIRST = 16


class Growing:
    """An array with room behind it. A view that was taken keeps its length and its content."""

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._width = () if width is None else (width,)
        self._room: NDArray[Any] = np.empty((0, *self._width), dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def view(self) -> NDArray[Any]:
        """What is there now. Shape (rows,) or (rows, width); not to be written to."""
        return self._room[: self._count]

    def extend(self, rows: ArrayLike) -> None:
        """Put rows behind those that are there: amortised, the cost of copying them."""
        fresh = np.asarray(rows, dtype=self._room.dtype).reshape(-1, *self._width)
        count = self._count + len(fresh)
        if count > len(self._room):
            room = np.empty((max(_FIRST, count, 2 * self._count), *self._width), dtype=self._room.dtype)
            room[: self._count] = self.view()
            self._room = room
        self._room[self._count : count] = fresh
        self._count = count

    def replace(self, at: NDArray[np.intp] | slice, value: ArrayLike) -> None:
        """Change rows, in a copy: views that were taken keep the old ones."""
        room = self._room.copy()
        room[at] = value
        self._room = room

    def reset(self, rows: NDArray[Any]) -> None:
        """Hold these rows and no others; they must not be written to afterwards."""
        self._room, self._count = rows, len(rows)
