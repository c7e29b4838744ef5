"""The contract of a language model that chats; a provider is one file that keeps it (`chat_server`)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from generation.model import Usage

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen, and how many at most. With `schema`, only JSON that keeps to it can come out."""

    temperature: float
    max_tokens: int
    top_p: float | None = None
    schema: JsonSchema | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a completion; `reason` is the server's: `stop`, `length`, …"""

    reason: str
    usage: Usage


class LanguageModel(Protocol):
    """A chat model somewhere. `aclose` it."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished, None]:
        """Pieces of the answer as they are generated, without what the model thinks first; then one Finished.

        Closing the iterator ends the generation. Raises Overloaded, InvalidRequest (what is asked is refused) or
        Unavailable (no answer, nonsense, or an end in the middle).
        """

    async def aclose(self) -> None:
        """Close all connections."""
