"""A language model with a budget: so many tokens a day, of all who ask it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from generation.budget import estimate_tokens
from generation.llm import Finished, LanguageModel, Message, Sampling
from indexes.errors import OverBudget


class Ledger(Protocol):
    """What language models took, for all processes of an installation."""

    async def spent_today(self, llm: str) -> int:
        """Tokens that the model of this name read and wrote today (UTC)."""

    async def spend(self, llm: str, tokens: int) -> None:
        """Add to that."""


class MeteredModel:
    """See `LanguageModel`. What was begun is finished: a budget is passed by as much as is being answered then."""

    def __init__(self, name: str, model: LanguageModel, tokens_per_day: int, ledger: Ledger) -> None:
        self._name = name
        self._model = model
        self._tokens_per_day = tokens_per_day
        self._ledger = ledger

    async def aclose(self) -> None:
        """Close all connections."""
        await self._model.aclose()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """See `LanguageModel`. Raises OverBudget where the budget of the day is used up."""
        if await self._ledger.spent_today(self._name) >= self._tokens_per_day:
            raise OverBudget(
                f"{self._name} has used up its {self._tokens_per_day:,} tokens of today. It answers again after "
                "midnight (UTC); the operator's setting is `tokens_per_day`."
            )
        # Of an answer that is broken off the server tells nothing: a piece is about a token then.
        read, written, told = sum(estimate_tokens(message.content) for message in messages), 0, None
        began = False
        try:
            async with aclosing(self._model.stream(messages, sampling)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finished):
                        told = piece.usage.input_tokens + piece.usage.output_tokens
                    else:
                        began, written = True, written + 1
                    yield piece
        except asyncio.CancelledError:
            began = True  # nobody waits any more, and the server may have read it all: hanging up is not free
            raise
        finally:
            taken = told or (read + written if began else 0)
            if taken:
                await self._ledger.spend(self._name, taken)


def metered(name: str, model: LanguageModel, tokens_per_day: int | None, ledger: Ledger | None) -> LanguageModel:
    """The model within its budget; as it is where it has none."""
    if tokens_per_day is None or ledger is None:
        return model
    return MeteredModel(name, model, tokens_per_day, ledger)
