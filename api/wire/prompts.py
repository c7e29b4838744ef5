"""Prompts: names with immutable versions, their test cases, and which version is in force where."""

from typing import Annotated, Literal

from pydantic import Field

from api.wire.base import MAX_COUNT, Id, Label, Listed, ReplyModel, RequestModel, Text
from api.wire.errors import ErrorReply
from api.wire.index_versions import Reasoned
from api.wire.pages import PageQuery
from generation.model import Turn
from generation.prompt_check import MAX_CHARS
from generation.prompt_trial import Case, CasePassage, CaseResult, Expected
from generation.prompt_version import Purpose

MAX_TESTS = 50
_Said = Annotated[Text, Field(min_length=1, max_length=10_000)]
_Words = Annotated[list[_Said], Field(max_length=20)]
_Version = Annotated[Id, Field(description="A version by its number, its id, or the beginning of its hash.")]


class PromptTestPassage(RequestModel):
    """A passage that a test case shows."""

    key: Id = Field(description="The document that it is said to be of.")
    text: _Said = Field(description="The text of the passage.")


class PromptTestTurn(RequestModel):
    """An earlier message of a test case of the prompt `condense`."""

    role: Literal["user", "assistant"]
    text: _Said


class PromptTestAnswer(RequestModel):
    """What a language model must make of the prompt. It is asked each time that the test cases run."""

    model: Id = Field(description="A language model of `/v1/models`.")
    abstains: bool | None = Field(None, description="Whether it must say that the passages hold no answer.")
    cites: _Words = Field(default_factory=list, description="Keys of passages that the answer must cite.")
    contains: _Words = Field(default_factory=list, description="What must stand in the answer, to the letter.")

    def to_expected(self) -> Expected:
        """What is expected, as it is held against an answer."""
        return Expected(self.model, self.abstains, tuple(self.cites), tuple(self.contains))


class PromptTest(RequestModel):
    """One test case: what goes into a prompt, and what must come of it. That it renders is always asked."""

    name: Label = Field(description="Its name in reports; distinct among those of the prompt.")
    question: _Said = Field(description="The question.")
    passages: Annotated[list[PromptTestPassage], Field(max_length=20)] = Field(default_factory=list)
    history: Annotated[list[PromptTestTurn], Field(max_length=40)] = Field(default_factory=list)
    instructions: _Said | None = Field(None, description="What an app says beside the question.")
    contains: _Words = Field(default_factory=list, description="What the filled-in prompt must contain.")
    lacks: _Words = Field(default_factory=list, description="What it must not contain.")
    max_tokens: int | None = Field(None, ge=1, le=MAX_COUNT, description="The most tokens it may have, estimated.")
    answer: PromptTestAnswer | None = None

    def to_case(self) -> Case:
        """The case as it is run."""
        return Case(
            name=self.name,
            question=self.question,
            passages=tuple(CasePassage(one.key, one.text) for one in self.passages),
            history=tuple(Turn(one.role, one.text) for one in self.history),
            instructions=self.instructions,
            contains=tuple(self.contains),
            lacks=tuple(self.lacks),
            max_tokens=self.max_tokens,
            answer=self.answer.to_expected() if self.answer else None,
        )


PromptTests = Annotated[list[PromptTest], Field(max_length=MAX_TESTS)]


class PromptCreate(Reasoned):
    """A new prompt, or a new version of the one of that name."""

    name: Label = Field(
        pattern=r"^[\w.:-]+$",
        description="What people call it. `answer` is what answers where nobody names another, `condense` is what "
        "rewrites a question of a conversation; every other name is a prompt that answers.",
    )
    text: Text = Field(
        max_length=MAX_CHARS,
        description="A Jinja template with a block `system` and a block `user`. Both may use `instructions` and "
        "`no_answer`, and `user` has `question` and `passages` (`number`, `source`, `text`); of `condense` only `user` "
        "has variables: `question` and `history` (`role`, `text`).",
    )
    tests: PromptTests | None = Field(None, description="Test cases in place of those that the prompt has.")


class PromptTestsUpdate(RequestModel):
    """Test cases in place of those that a prompt has."""

    tests: PromptTests


class PromptPlace(RequestModel):
    """Where a prompt is in force."""

    vector_store_id: Id | None = Field(
        None, description="A store; left out: the project, for stores without their own."
    )


class PromptRollback(Reasoned, PromptPlace):
    """Go back to what was in force before."""


class PromptLive(PromptRollback):
    """Put a version in force, if its test cases let it."""

    version: _Version
    force: bool = Field(False, description="Although test cases fail; needs a `reason`.")


class PromptTrialRequest(RequestModel):
    """Run the test cases of a prompt."""

    version: _Version | None = Field(None, description="Left out: the newest version.")


class PromptListQuery(PageQuery, PromptPlace):
    """Which part of a list, and for which place."""


class PromptDiffQuery(RequestModel):
    """Which versions to compare."""

    before: _Version
    after: _Version | None = Field(None, description="Left out: the newest version.")


class PromptVersionSummary(Listed):
    """A version of a prompt, without its text."""

    id: str = Field(description="Identifier, `pv_…`.")
    object: Literal["prompt.version"] = "prompt.version"
    prompt: str = Field(description="The name of the prompt.")
    version: int = Field(description="Counts the versions of that name from 1.")
    label: str = Field(description="Name and beginning of the hash: what answers are pinned to.")
    sha256: str = Field(description="Of the text.")
    actor: str = Field(description="Who wrote it; `citewell` for what ships with the platform.")
    reason: str | None = Field(description="Why, if that was said.")
    created_at: int = Field(description="When it was kept, Unix seconds.")


class PromptVersion(PromptVersionSummary):
    """A version of a prompt; it never changes."""

    text: str = Field(description="The template.")


class Prompt(Listed):
    """A name of prompts."""

    id: str = Field(description="Identifier, `prompt_…`.")
    object: Literal["prompt"] = "prompt"
    name: str = Field(description="What people call it.")
    purpose: Purpose = Field(description="Whether it answers questions or condenses conversations.")
    newest: PromptVersionSummary = Field(description="The version made last.")
    live: PromptVersionSummary | None = Field(
        description="What is in force in the project, or in the store that was asked about; null where nothing is."
    )
    tests: list[PromptTest] = Field(description="Test cases that a version must pass before it goes live.")
    created_at: int = Field(description="When it was made, Unix seconds.")


class PromptDiff(ReplyModel):
    """What changed from one version to another."""

    object: Literal["prompt.diff"] = "prompt.diff"
    before: PromptVersionSummary
    after: PromptVersionSummary
    diff: str = Field(description="Unified, by lines; empty where the texts are equal.")


class PromptTestResult(ReplyModel):
    """What became of one test case."""

    name: str
    passed: bool
    failures: list[str] = Field(description="What was otherwise, in sentences.")
    tokens: int = Field(description="Tokens of the filled-in prompt, estimated.")

    @classmethod
    def of(cls, result: CaseResult) -> "PromptTestResult":
        """A result on the wire."""
        return cls(name=result.name, passed=result.passed, failures=list(result.failures), tokens=result.tokens)


class PromptTestReport(ReplyModel):
    """What became of the test cases of a prompt."""

    object: Literal["prompt.test_report"] = "prompt.test_report"
    label: str = Field(description="The version that was tested.")
    passed: bool = Field(description="Whether every case passed.")
    results: list[PromptTestResult]


class PromptTestsRefusal(ErrorReply):
    """Test cases fail: the error, and what became of them all."""

    report: PromptTestReport


class PromptChange(Listed):
    """One line of the history of a prompt in one place."""

    id: str = Field(description="Identifier, `pc_…`.")
    object: Literal["prompt.change"] = "prompt.change"
    prompt: str = Field(description="The name of the prompt.")
    vector_store_id: str | None = Field(description="The store; null: the project.")
    kind: Literal["live", "rolled_back"]
    live: PromptVersionSummary | None = Field(
        description="What is in force from here on; null: nothing of the place's own, so what its project has, or else "
        "what ships with the platform."
    )
    actor: str = Field(description="Who did it.")
    reason: str | None = Field(description="Why, if that was said.")
    forced: bool = Field(description="Whether it was done although test cases failed.")
    report: PromptTestReport | None = Field(description="What became of the test cases; null after a rollback.")
    created_at: int = Field(description="When, Unix seconds.")
