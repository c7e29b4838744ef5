"""Several servers of the same model as one: the least busy healthy one is asked, another where it does not answer."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from generation.llm import Finished, LanguageModel, Message, Sampling
from indexes.balance import choices
from indexes.errors import Overloaded, Unavailable


@dataclass(slots=True, eq=False)
class _Replica:
    model: LanguageModel
    in_flight: int = 0
    rests_until: float = 0.0


class Replicas:
    """See `LanguageModel`. Of each server at most `max_concurrency` answers are wanted at once.

    A server that does not answer, or breaks off, rests for `rest_s`; then the next question tries it again. Where all
    of them rest, the one that has rested longest is tried. Another is asked only while nothing was said: half an answer
    is never begun anew.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[LanguageModel],
        max_concurrency: int,
        rest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._replicas = [_Replica(model) for model in models]
        self._most = max_concurrency
        self._rest_s = rest_s
        self._clock = clock

    async def aclose(self) -> None:
        """Close all connections."""
        for replica in self._replicas:
            await replica.model.aclose()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """See `LanguageModel`. Raises Overloaded where every server that could answer is at its limit."""
        tried: list[_Replica] = []
        while True:
            replica = self._next(tried)
            tried.append(replica)
            started = False
            replica.in_flight += 1
            try:
                async with aclosing(replica.model.stream(messages, sampling)) as pieces:
                    async for piece in pieces:
                        started = True
                        yield piece
            except (Unavailable, Overloaded) as error:
                if isinstance(error, Unavailable):
                    replica.rests_until = self._clock() + self._rest_s
                if started or len(tried) == len(self._replicas):
                    raise
            else:
                replica.rests_until = 0.0
                return
            finally:
                replica.in_flight -= 1

    def _next(self, tried: Sequence[_Replica]) -> _Replica:
        for replica in choices((one for one in self._replicas if one not in tried), self._clock()):
            if replica.in_flight < self._most:
                return replica
        raise Overloaded(f"{self._name} is answering all it can. Try again in a moment.")
