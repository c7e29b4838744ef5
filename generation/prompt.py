"""Prompts as versioned artefacts: immutable text with a hash, rendered in a sandbox into two roles.

A prompt is one Jinja template with a block `system` and a block `user`. Documents are only ever given to `user`: what
is retrieved is data and must not speak in the role that gives orders. What stays the same from one question to the
next comes first, so that the server's prefix cache can keep it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from generation.model import Passage
from indexes.errors import InvalidRequest

NO_ANSWER = "NO_ANSWER"
_ROLES = ("system", "user")
_TAG = re.compile(r"<(?=/?\s*passage)", re.IGNORECASE)


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


def seed(name: str = "answer") -> PromptVersion:
    """The prompt of that name which ships with the package."""
    return PromptVersion(name, files("generation").joinpath("prompts", f"{name}.md").read_text("utf-8"))


def render(
    prompt: PromptVersion, question: str, passages: Sequence[PromptPassage], instructions: str | None = None
) -> Rendered:
    """Fill in a prompt. Raises InvalidRequest where the template is wrong or lacks one of its two blocks."""
    variables: dict[str, Any] = {"no_answer": NO_ANSWER, "instructions": instructions}
    try:
        template = _compiled(prompt.text)
        system = _block(template, "system", variables)
        user = _block(template, "user", {**variables, "question": question, "passages": passages})
    except TemplateError as error:
        raise InvalidRequest(f"The prompt {prompt.label} cannot be rendered: {error}.", param="prompt") from error
    return Rendered(system, user)


def _block(template: Template, role: str, variables: dict[str, Any]) -> str:
    if role not in template.blocks:
        raise TemplateError(f"it has no block {role!r}; it needs {' and '.join(_ROLES)}")
    return "".join(template.blocks[role](template.new_context(variables))).strip()


@lru_cache(maxsize=32)
def _compiled(text: str) -> Template:
    # A prompt is plain text for a model: escaping it as HTML would change what documents say.
    environment = ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(text)
