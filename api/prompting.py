"""Which prompt makes an answer, and how a version comes to be the one: kept if it is sound, live if its cases pass."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.state import State
from api.wire.prompts import PromptTest, PromptTestReport, PromptTestResult
from generation import prompt_trial
from generation.prompt import seeds
from generation.prompt_check import check
from generation.prompt_version import PromptVersion, Purpose
from indexes.catalog import idempotency, live_prompts, prompts, stores
from indexes.catalog.history import PLATFORM, Because
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.prompt_tables import Prompt, PromptChange, PromptText
from indexes.errors import Conflict, InvalidRequest, PromptTestsFailed

_SHIPPED = Because(PLATFORM, "ships with the platform")


@dataclass(frozen=True, slots=True)
class PromptRef:
    """A prompt that somebody names; without `version` the one that is in force."""

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, said: str) -> "PromptRef":
        """Read `name` or `name@version`."""
        name, _, version = said.partition("@")
        return cls(name, version or None)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The prompts of one answer."""

    answer: PromptVersion
    condense: PromptVersion


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prompt is in force: in a store, or in the project for stores without their own."""

    project: str
    store_id: str | None = None

    async def check(self, session: AsyncSession) -> None:
        """Raises NotFound where the store is not there, or another project's."""
        if self.store_id is not None:
            await stores.get(session, self.project, self.store_id)


async def chosen(state: State, place: Place, ref: PromptRef | None = None) -> Chosen:
    """The prompts that are in force in a place, or the one named, which answers.

    Raises NotFound for a prompt or a version that is not there, InvalidRequest for one that is not for answers, and
    Conflict for a name of which none is in force.
    """
    await keep_shipped(state, place.project)  # or a later release could not replay what it made
    async with state.database.read() as session:
        found = await in_force(session, place)
        answer = found[Purpose.ANSWER] if ref is None else await _named(session, place, ref, found)
    return Chosen(answer, found[Purpose.CONDENSE])


async def _named(
    session: AsyncSession, place: Place, ref: PromptRef, found: Mapping[str, PromptVersion]
) -> PromptVersion:
    prompt = await prompts.get(session, place.project, ref.name)
    if Purpose.of(prompt.name) is not Purpose.ANSWER:
        raise InvalidRequest(f"The prompt '{prompt.name}' is not one that answers. Name another.", param="prompt")
    if ref.version is not None:
        return _version(prompt.name, await prompts.version(session, prompt, ref.version))
    if prompt.name not in found:
        raise Conflict(
            f"No version of the prompt '{prompt.name}' is live. Name a version, or set one live with "
            f"POST /v1/prompts/{prompt.name}/live.",
            code="prompt_not_live",
            param="prompt",
        )
    return found[prompt.name]


async def in_force(session: AsyncSession, place: Place) -> dict[str, PromptVersion]:
    """Every prompt that is in force in a place, by name; what nobody set is what ships with the platform."""
    rows = await live_prompts.in_force(session, place.project, place.store_id)
    return {**seeds(), **{name: _version(name, row) for name, row in rows.items()}}


async def keep_shipped(state: State, project: str) -> None:
    """Let a project see the prompts that ship with the platform, a new release's as further versions."""
    hashes = {name: version.hash for name, version in seeds().items()}
    async with state.database.read() as session:
        if await prompts.has(session, project, hashes):
            return
    async with state.database.write() as session:
        for name, version in seeds().items():
            await prompts.put(session, project, name, version.text, _SHIPPED)


async def keep(
    state: State,
    project: str,
    version: PromptVersion,
    tests: list[PromptTest] | None,
    because: Because,
    again: Idempotency | None,
) -> PromptText:
    """Keep a version, with test cases in place of those there were if any are given. Raises InvalidRequest."""
    await asyncio.to_thread(check, version)
    async with state.database.write() as session:
        known = await idempotency.earlier(session, project, again)
        if known is not None:
            return await prompts.version(session, await prompts.get(session, project, version.name), known)
        row = await prompts.put(session, project, version.name, version.text, because)
        if tests is not None:
            prompt = await prompts.get(session, project, version.name)
            await prompts.set_tests(session, prompt, [test.model_dump(mode="json") for test in tests])
        idempotency.remember(session, project, again, row.id)
        return row


async def tried(state: State, prompt: Prompt, row: PromptText) -> PromptTestReport:
    """Run the test cases of a prompt on one of its versions."""
    version = _version(prompt.name, row)
    cases = [PromptTest.model_validate(test).to_case() for test in prompt.tests]
    async with state.capacity:
        results = await prompt_trial.run(version, cases, state.answering)
    return PromptTestReport(
        label=version.label,
        passed=all(result.passed for result in results),
        results=[PromptTestResult.of(result) for result in results],
    )


async def go_live(
    state: State, name: str, place: Place, which: str, because: Because, *, force: bool = False
) -> PromptChange:
    """Put a version in force, once its test cases pass, or by `force` with a reason.

    Raises PromptTestsFailed with the report, InvalidRequest for force without a reason, NotFound, and Conflict where
    the test cases were changed meanwhile.
    """
    if force and not (because.reason or "").strip():
        raise InvalidRequest("Going live by force needs a reason, which is kept in the history.", param="reason")
    async with state.database.read() as session:
        await place.check(session)
        prompt = await prompts.get(session, place.project, name)
        row = await prompts.version(session, prompt, which)
    report = await tried(state, prompt, row)
    body: dict[str, Any] = report.model_dump(mode="json")
    if not report.passed and not force:
        raise PromptTestsFailed(_refusal(report), report=body)
    async with state.database.write() as session:
        await place.check(session)
        if (await prompts.get(session, place.project, name)).tests != prompt.tests:
            raise Conflict("The test cases were changed while they ran. Try again.", code="prompt_tests_changed")
        forced = force and not report.passed
        return await live_prompts.put(session, prompt, place.store_id, row, because, report=body, forced=forced)


def _version(name: str, row: PromptText) -> PromptVersion:
    return PromptVersion(name, row.text)


def _refusal(report: PromptTestReport) -> str:
    failed = [result for result in report.results if not result.passed]
    return (
        f"{len(failed)} of {len(report.results)} test cases fail for {report.label}: {failed[0].name!r}: "
        f"{failed[0].failures[0]} Change the prompt or the case, or use `force` with a `reason` if you know better."
    )
