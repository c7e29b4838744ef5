"""The contract of rerankers: models that read a question together with a text and say how well the text answers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from indexes.embedder import Tokenizer
from indexes.model import Vector


class Pair(NamedTuple):
    """One question and one text that may answer it."""

    query: str
    text: str


@dataclass(frozen=True, slots=True)
class RerankerSpec:
    """Which model it is. `weights` is the SHA-256 of its weights, empty where another server keeps them."""

    name: str
    weights: str = ""


class Reranker(Protocol):
    """One model, loaded. Calls block and are safe from any thread."""

    @property
    def spec(self) -> RerankerSpec:
        """What the model is."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """How it counts text; None where that is not known here."""

    @property
    def passes(self) -> int:
        """How many calls should run side by side."""

    @property
    def pass_tokens(self) -> int:
        """How many tokens make a call that is worth its while."""

    def scores(self, pairs: Sequence[Pair]) -> Vector:
        """Shape (len(pairs),), each 0..1, in the order of `pairs`; a better text of one question has the higher one.

        A text longer than the model reads is cut at its limit. Raises Unavailable.
        """


class SharedReranker(Protocol):
    """One model that the tasks of an event loop share, in this process or in another."""

    @property
    def spec(self) -> RerankerSpec:
        """What the model is."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """How it counts text; None where that is not known here."""

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        """As `Reranker.scores`, for one question. Raises Overloaded where too much waits, Unavailable where the model
        does not answer. What has not begun when the caller is cancelled is never begun.
        """

    async def close(self) -> None:
        """Let go of the model; what waits fails with Unavailable."""
