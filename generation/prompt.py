"""Prompts as versioned artefacts: immutable text with a hash, rendered in a sandbox into two roles.

A prompt is one Jinja template with a block `system` and a block `user`. Documents are only ever given to `user`: what
is retrieved is data and must not speak in the role that gives orders. What stays the same from one question to the
next comes first, so that the server's prefix cache can keep it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from generation.model import Passage, Turn
from generation.prompt_version import PromptVersion
from indexes.errors import InvalidRequest

NO_ANSWER = "NO_ANSWER"
ROLES = ("system", "user")
_TAG = re.compile(r"<(?=/?\s*(?:passage|turn))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PromptPassage:
    """A passage as a prompt shows it."""

    number: int
    source: str
    text: str

    @classmethod
    def of(cls, passage: Passage, text: str) -> "PromptPassage":
        """`text` of the passage, with nothing left in it that could be taken for the end of a passage."""
        hit = passage.hit
        source = " > ".join((hit.key, *hit.chunk.span.section)).replace('"', "'").replace("\n", " ")
        return cls(passage.number, _TAG.sub("‹", source), _TAG.sub("‹", text))


@dataclass(frozen=True, slots=True)
class Rendered:
    """The two messages of a prompt."""

    system: str
    user: str


@lru_cache
def seed(name: str = "answer") -> PromptVersion:
    """The prompt of that name which ships with the package."""
    return PromptVersion(name, files("generation").joinpath("prompts", f"{name}.md").read_text("utf-8"))


def seeds() -> dict[str, PromptVersion]:
    """Every prompt that ships with the package, by name."""
    return {name: seed(name) for name in ("answer", "condense")}


def render(
    prompt: PromptVersion, question: str, passages: Sequence[PromptPassage], instructions: str | None = None
) -> Rendered:
    """Fill in a prompt that answers. Raises InvalidRequest where the template is wrong or lacks one of its two blocks.

    What is named here is all that such a template may use.
    """
    fixed: dict[str, Any] = {"no_answer": NO_ANSWER, "instructions": instructions}
    return _filled(prompt, fixed, {**fixed, "question": question, "passages": passages})


def render_condense(prompt: PromptVersion, question: str, history: Sequence[Turn]) -> Rendered:
    """Fill in a prompt that condenses a conversation, oldest turn first. Raises as `render` does."""
    turns = [Turn(turn.role, _TAG.sub("‹", turn.text)) for turn in history]
    return _filled(prompt, {}, {"question": question, "history": turns})


def environment() -> Environment:
    """Where prompts are read and rendered: nothing outside of their variables can be reached."""
    # A prompt is plain text for a model: escaping it as HTML would change what documents say.
    sandbox = ImmutableSandboxedEnvironment(
        autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sandbox.globals.clear()  # `range` and the like are of no use in a prompt, and can be made to take for ever
    return sandbox


def _filled(prompt: PromptVersion, system: dict[str, Any], user: dict[str, Any]) -> Rendered:
    try:
        template = _compiled(prompt.text)
        return Rendered(_block(template, "system", system), _block(template, "user", user))
    except TemplateError as error:
        why = str(error).rstrip(".")
        raise InvalidRequest(f"The prompt {prompt.label} cannot be rendered: {why}.", param="prompt") from error


def _block(template: Template, role: str, variables: dict[str, Any]) -> str:
    if role not in template.blocks:
        raise TemplateError(f"it has no block {role!r}; it needs {' and '.join(ROLES)}")
    return "".join(template.blocks[role](template.new_context(variables))).strip()


@lru_cache(maxsize=32)
def _compiled(text: str) -> Template:
    return environment().from_string(text)
