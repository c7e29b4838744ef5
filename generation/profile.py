"""What is particular about a family of models, as data (`profiles.toml`)."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from typing import Any

from generation.llm import Message
from generation.settings import CitationMode, LlmSettings


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """How to talk to a model. `match` are patterns of names, in lower case.

    `think_open`, `think_close` are the tags around what it thinks, empty for none; `starts_thinking` where its chat
    template already opened them. Without `system_role` the rules go in front of the first message of the user.
    `extra_body` is added to every request.
    """

    match: tuple[str, ...] = ()
    context_tokens: int = 8192
    citations: CitationMode = "json"
    think_open: str = ""
    think_close: str = ""
    starts_thinking: bool = False
    system_role: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def shaped(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as the model's chat template takes them: in roles it knows, and the user's and the assistant's
        in turns, the user's first. What an assistant said before any user is left out.
        """
        rules = [message for message in messages[:1] if message.role == "system"]
        turns: list[Message] = []
        for message in messages[len(rules) :]:
            if turns and turns[-1].role == message.role:
                turns[-1] = Message(message.role, f"{turns[-1].content}\n\n{message.content}")
            elif turns or message.role != "assistant":
                turns.append(message)
        if self.system_role or not rules:
            return [*rules, *turns]
        said = "\n\n".join(message.content for message in (*rules, *turns[:1]))
        return [Message("user", said), *turns[1:]]


def profile_of(llm: LlmSettings) -> ModelProfile:
    """The first profile whose pattern fits the model's name, with what the settings say themselves."""
    name = (llm.profile or llm.model).lower().rpartition("/")[2]
    found = next((each for each in _shipped() if any(fnmatch(name, one) for one in each.match)), ModelProfile())
    return replace(
        found,
        context_tokens=llm.context_tokens or found.context_tokens,
        citations=llm.citations or found.citations,
    )


@cache
def _shipped() -> tuple[ModelProfile, ...]:
    data = tomllib.loads(files("generation").joinpath("profiles.toml").read_text("utf-8"))
    return tuple(ModelProfile(**{**profile, "match": tuple(profile["match"])}) for profile in data["profile"])
