"""Test cases of a prompt: what it must look like when it is filled in, and what an answerer must make of it."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from generation.answering import Answering
from generation.budget import estimate_tokens
from generation.model import Answer, Answered, AnswerEvent, Passage, Question, Turn
from generation.prompt import PromptPassage, Rendered, render, render_condense
from generation.prompt_version import PromptVersion, Purpose
from indexes.errors import CitewellError
from indexes.model import Chunk, Hit, Scores, Span


@dataclass(frozen=True, slots=True)
class CasePassage:
    """A passage of a test case; `key` is what its citations are told by."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a named answerer must do: say that there is no answer, or not; cite these keys; use these words."""

    answerer: str
    abstains: bool | None = None
    cites: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One test case. `contains` and `lacks` are of both messages together, `max_tokens` is estimated for them."""

    name: str
    question: str
    passages: tuple[CasePassage, ...] = ()
    history: tuple[Turn, ...] = ()
    instructions: str | None = None
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    max_tokens: int | None = None
    answer: Expected | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case: `failures` says in sentences what was otherwise; `tokens` are estimated."""

    name: str
    failures: tuple[str, ...]
    tokens: int

    @property
    def passed(self) -> bool:
        return not self.failures


async def run(prompt: PromptVersion, cases: Sequence[Case], answering: Answering) -> list[CaseResult]:
    """Run the cases one after the other. What goes wrong in one is its failure, and nothing is raised."""
    return [await _run(prompt, case, answering) for case in cases]


async def _run(prompt: PromptVersion, case: Case, answering: Answering) -> CaseResult:
    try:
        filled = _filled(prompt, case)
    except CitewellError as error:
        return CaseResult(case.name, (error.message,), 0)
    shown = f"{filled.system}\n{filled.user}"
    tokens = estimate_tokens(filled.system) + estimate_tokens(filled.user)
    failures = [f"The prompt does not contain {text!r}." for text in case.contains if text not in shown]
    failures += [f"The prompt contains {text!r}." for text in case.lacks if text in shown]
    if case.max_tokens is not None and tokens > case.max_tokens:
        failures.append(f"The prompt has about {tokens} tokens, more than {case.max_tokens}.")
    if case.answer is not None:
        try:
            failures += await _answered(prompt, case, case.answer, answering)
        except CitewellError as error:
            failures.append(f"{case.answer.answerer} did not answer: {error.message}")
    return CaseResult(case.name, tuple(failures), tokens)


def _filled(prompt: PromptVersion, case: Case) -> Rendered:
    if Purpose.of(prompt.name) is Purpose.CONDENSE:
        return render_condense(prompt, case.question, case.history)
    shown = [PromptPassage.of(passage, passage.hit.chunk.text) for passage in _passages(case)]
    return render(prompt, case.question, shown, case.instructions)


async def _answered(prompt: PromptVersion, case: Case, expected: Expected, answering: Answering) -> list[str]:
    question = Question(case.question, case.instructions, case.history)
    name = answering.check(expected.answerer)
    if not answering.is_prompted(name):
        return [f"{name} uses no prompt: name a language model."]
    if Purpose.of(prompt.name) is Purpose.CONDENSE:
        made = await answering.standalone(name, question, prompt)
        if made.by != "model":
            return [f"{name} did not rewrite the question."]
        return _missing(made.text, expected.contains)
    events = answering.answer(name, replace(question, prompt=prompt), [passage.hit for passage in _passages(case)])
    return _judged(await _whole(events), expected)


def _judged(answer: Answer, expected: Expected) -> list[str]:
    if answer.fallback is not None:
        return [f"{expected.answerer} did not answer: {answer.fallback}"]
    failures = _missing(answer.text, expected.contains)
    if expected.abstains is not None and answer.abstained != expected.abstains:
        failures.append("It says that there is no answer." if answer.abstained else f"It answers: {answer.text[:200]}")
    cited = {citation.passage.hit.key for citation in answer.citations}
    failures += [f"The answer does not cite {key!r}." for key in expected.cites if key not in cited]
    return failures


def _missing(text: str, wanted: Sequence[str]) -> list[str]:
    return [f"The answer does not contain {one!r}: {text[:200]}" for one in wanted if one not in text]


async def _whole(events: AsyncGenerator[AnswerEvent, None]) -> Answer:
    answer = None
    async for event in events:
        if isinstance(event, Answered):
            answer = event.answer
    assert answer is not None, "the last event of an answerer is Answered"
    return answer


def _passages(case: Case) -> list[Passage]:
    """As a search would have found them, all alike."""
    found = []
    for number, passage in enumerate(case.passages, 1):
        ident = f"test_{number}"
        chunk = Chunk(ident, ident, Span(0, len(passage.text), 0, 0), passage.text)
        hit = Hit(chunk, Scores(1.0), ident, ident, ident, passage.key, passage.key, {})
        found.append(Passage(number, hit))
    return found
