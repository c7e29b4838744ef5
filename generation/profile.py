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
        """The messages in the roles that the model's chat template knows."""
        if self.system_role or not messages or messages[0].role != "system":
            return list(messages)
        rules, *others = messages
        at = next((at for at, message in enumerate(others) if message.role == "user"), None)
        if at is None:
            return [Message("user", rules.content), *others]
        others[at] = Message("user", f"{rules.content}\n\n{others[at].content}")
        return others


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
