"""A question that goes on with a conversation, as one that stands alone: by a rule, or by a language model."""

import logging
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from generation.budget import CountTokens, estimate_tokens, recent
from generation.llm import Finished, LanguageModel, Message, Sampling
from generation.model import Question, Turn, Usage
from generation.prompt import render_condense
from generation.prompt_version import PromptVersion
from generation.terms import terms
from indexes.errors import CitewellError

log = logging.getLogger(__name__)

_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|ones?|former|latter|instead|else)\b"
    r"|^\W*(?:and|but|or|so|then|also|for|what about|how about|what if|why not)\b"
    r"|\bthat(?=\W*$)",
    re.IGNORECASE,
)
_SHORT = 2  # words: nobody asks a whole question in two
_SALIENT = 8  # words of what was asked before: enough for its subject
_MAX_TOKENS = 128
_READ = 2000  # characters of what was said that the rule looks at, and
_TURNS = 16  # questions: it runs between requests, which must not wait for it
_LONGEST = 500  # characters: what is longer is no question, but an answer


@dataclass(frozen=True, slots=True)
class Standalone:
    """What to search for. `by` is who made it of the conversation: `rule` or `model`; None where the question stands.

    `prompt_version` and `usage` are those of the model.
    """

    text: str
    by: str | None = None
    prompt_version: str | None = None
    usage: Usage = field(default_factory=Usage)


def by_rule(question: str, history: Sequence[Turn]) -> Standalone:
    """Put what was asked about before in front of a question that points back to it, or is too short to stand alone.

    Reads the user's turns only, so nothing that documents say gets in. It knows English; in other languages only short
    questions are seen to go on with what was before.
    """
    whole = ""
    asked = [turn.text for turn in history if turn.role == "user"][-_TURNS:]
    for said in (*asked, question):
        looked_at = said[:_READ]
        before = _salient(whole[-_READ:], looked_at) if _goes_on(looked_at) else ()
        whole = f"{' '.join(before)} {said}".strip() if before else said
    return Standalone(whole, by="rule") if whole != question else Standalone(question)


def _goes_on(question: str) -> bool:
    return len(question.split()) <= _SHORT or not terms(question) or _POINTS_BACK.search(question) is not None


def _salient(before: str, question: str) -> list[str]:
    """The words that carry what was asked before, as far as the question does not have them."""
    known = set(terms(question))
    words = [word for word in before.split() if set(terms(word)) - known]
    return [word.strip(".,;:!?\"'()") for word in dict.fromkeys(words)][-_SALIENT:]


class Condenser:
    """Lets a language model rewrite the last question of a conversation; what it does not do, the rule does."""

    def __init__(
        self, name: str, client: LanguageModel, context_tokens: int, count: CountTokens = estimate_tokens
    ) -> None:
        self._name = name
        self._client = client
        self._context_tokens = context_tokens
        self._count = count

    async def condense(self, question: Question, prompt: PromptVersion) -> Standalone:
        """The question without its history. Never raises for the model's sake: a search must not wait for it."""
        try:
            said, usage = await self._ask(question, prompt)
        except CitewellError as error:
            log.warning("%s did not condense a question: %s", self._name, error.message)
            return by_rule(question.text, question.history)
        if not said or len(said) > _LONGEST or "\n" in said:
            return by_rule(question.text, question.history)
        return Standalone(said, by="model", prompt_version=prompt.label, usage=usage)

    async def _ask(self, question: Question, prompt: PromptVersion) -> tuple[str, Usage]:
        bare = render_condense(prompt, question.text, ())
        room = self._context_tokens // 2 - _MAX_TOKENS - self._count(bare.system) - self._count(bare.user)
        asked = render_condense(prompt, question.text, recent(question.history, room, self._count))
        messages = [Message("system", asked.system), Message("user", asked.user)]
        pieces, usage = [], Usage()
        async with aclosing(self._client.stream(messages, Sampling(0.0, _MAX_TOKENS))) as stream:
            async for piece in stream:
                if isinstance(piece, Finished):
                    usage = piece.usage
                else:
                    pieces.append(piece)
        return "".join(pieces).strip().removeprefix("Question:").strip(), usage
