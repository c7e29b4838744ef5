"""Times of many calls, taken side by side."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import numpy as np

_Given = TypeVar("_Given")


@dataclass(slots=True)
class Times:
    """How long each call took, in seconds, in the order of the calls."""

    seconds: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Times the block."""
        began = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - began)

    @property
    def p50_ms(self) -> float:
        """The median."""
        return median(self.seconds) * 1e3

    @property
    def p95_ms(self) -> float:
        """What one call in twenty exceeds."""
        return float(np.percentile(self.seconds, 95)) * 1e3

    def over_ms(self, other: "Times") -> float:
        """The median of what each call took more than the one at its place in `other`, next to which it ran."""
        return median(mine - others for mine, others in zip(self.seconds, other.seconds, strict=True)) * 1e3


async def take_turns(
    rivals: Mapping[str, Callable[[_Given], Awaitable[object]]], items: Sequence[_Given], warm: int
) -> dict[str, Times]:
    """Every rival on every item, so that a busy machine slows all of them; each begins as often as the others.

    The first `warm` items do not count.
    """
    times = {name: Times() for name in rivals}
    names = list(rivals)
    for at, item in enumerate(items):
        first = at % len(names)
        for name in names[first:] + names[:first]:
            with times[name].one():
                await rivals[name](item)
    return {name: Times(taken.seconds[warm:]) for name, taken in times.items()}
