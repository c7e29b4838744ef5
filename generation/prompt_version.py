"""One text of a prompt, and what prompts are for."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Purpose(StrEnum):
    """What a prompt makes a language model do."""

    ANSWER = "answer"
    CONDENSE = "condense"

    @classmethod
    def of(cls, name: str) -> "Purpose":
        """What the prompt of that name is for: the one called `condense` condenses, every other one answers."""
        return cls.CONDENSE if name == cls.CONDENSE else cls.ANSWER


@dataclass(frozen=True)
class PromptVersion:
    """One text of a prompt, for ever. `hash` is the SHA-256 of the text."""

    name: str
    text: str

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def label(self) -> str:
        """What an answer is pinned to: name and the beginning of the hash."""
        return f"{self.name}@{self.hash[:12]}"
