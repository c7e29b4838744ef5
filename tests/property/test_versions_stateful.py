"""Whatever happens in whatever order, and whoever is killed when: every version holds what readers may see (I6-I8).

Workers, builders and reconcilers are actors that stand still before each of their transactions. Between two steps of
one anything else happens: writes, other actors, promotions, snapshots, kills. What readers see is checked at any time;
that nothing is lost and nothing left over, once all that was begun is done.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from indexes.catalog import builds, schema, versions
from indexes.catalog.database import open_database
from indexes.catalog.tables import RevisionState, VersionState
from indexes.errors import Conflict
from indexes.manifest import AnnSpec, Chunking, LexicalSpec
from indexes.settings import CatalogSettings
from ingestion import erase, rebuild, reconcile
from retrieval.query import Query
from tests.actors import Actor, SteppedDatabase
from tests.workshop import ENGINEER, PROJECT, Workshop

KEYS = st.sampled_from("abc")
NAMES = st.sampled_from(["monday", "friday"])
PICK = st.integers(0, 7)
CHANGES: list[dict[str, Any]] = [
    {"ann": AnnSpec(m=8)},
    {"lexical": LexicalSpec(k=2.0)},
    {"chunking": Chunking(16, 0)},
    {"embedding_model": "hashing-32"},
    {"embedding_model": "hashing-32", "chunking": Chunking(20, 0)},
]


@dataclass
class Document:
    """What was written under a key and not deleted, in order, as texts by the number of the write."""

    writes: dict[int, str] = field(default_factory=dict)
    restored: str | None = None
    seen: int = -1
    """At the last restore: the newest write that was complete. Older ones can never be seen again."""

    def expected(self) -> str | None:
        """What readers see once all work is done."""
        newest = max(self.writes, default=-1)
        return self.writes[newest] if newest > self.seen else self.restored


class Store(RuleBasedStateMachine):
    """One store with everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="citewell-"))
        self.actors: list[Actor] = []
        self.documents: dict[str, Document] = {}
        self.snapshots: dict[str, dict[str, str]] = {}
        self.numbers: dict[str, int] = {}
        self.number = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the one event loop of this example."""

        async def bounded() -> Any:
            async with asyncio.timeout(30):
                return await work

        return self.runner.run(bounded())

    @initialize()
    def open(self) -> None:
        async def opened() -> None:
            database = SteppedDatabase(open_database(CatalogSettings(), self.folder))
            self.workshop = Workshop(database, self.folder)
            self.store = await self.workshop.store()

        (self.folder / "catalog.db").write_bytes(_empty_catalog())
        self.run(opened())
        for key in "ab":
            self.upload(key, length=2, at_once=True)

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.settle()
        finally:
            self.run(self._close())
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _close(self) -> None:
        for actor in self.actors:
            await actor.kill()
        if hasattr(self, "workshop"):
            await self.workshop.database.close()

    # What owners do

    @rule(key=KEYS, length=st.integers(1, 3), at_once=st.booleans())
    def upload(self, key: str, length: int, at_once: bool) -> None:
        self.number += 1
        text = f"Rule {self.number}. " + " ".join(f"It says {part}." for part in range(length * 6))
        self.documents.setdefault(key, Document()).writes[self.number] = text
        revision = self.run(self.workshop.upload(self.store, key, text, {"number": self.number}))
        self.numbers[revision.id] = self.number
        if at_once:
            self.run(self.workshop.work())

    @precondition(lambda self: self.documents)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        key = sorted(self.documents)[pick % len(self.documents)]
        self._act("delete", self.workshop.intake.delete_document(PROJECT, self.store.id, key))
        del self.documents[key]
        for named in self.snapshots.values():
            named.pop(key, None)

    @rule(pick=PICK)
    def change_attributes(self, pick: int) -> None:
        rows = sorted(self._revisions().values(), key=lambda row: row.seq)
        listed = [row for row in rows if row.state in (RevisionState.PENDING, RevisionState.CURRENT)]
        if listed:
            self.number += 1
            file_id = listed[pick % len(listed)].file_id
            attributes = {"number": self.number}
            self._act("attributes", self.workshop.intake.set_attributes(PROJECT, self.store.id, file_id, attributes))

    # Who works

    @rule(steps=st.integers(1, 12))
    def start_worker(self, steps: int) -> None:
        if (revision := self.run(self.workshop.pipeline.claim())) is not None:
            self._start(revision.id, self.workshop.pipeline.process(revision), steps)

    @rule(change=st.sampled_from(CHANGES), steps=st.integers(0, 24))
    def start_builder(self, change: dict[str, Any], steps: int) -> None:
        with contextlib.suppress(Conflict):  # there is such a version, or one that is being built
            self.run(self.workshop.begin(self.store, **change))
        if (row := self.run(self.workshop.claim_build())) is not None:
            self._start(row.id, self.workshop.builder.build(row), steps)

    @rule(steps=st.integers(1, 12))
    def start_reconciler(self, steps: int) -> None:
        self._start("reconciler", self.workshop.reconciler.once(), steps)

    @precondition(lambda self: self.actors)
    @rule(pick=PICK, steps=st.integers(1, 12))
    def go_on(self, pick: int, steps: int) -> None:
        self.run(self.actors[pick % len(self.actors)].step(steps))
        self._bury()

    @precondition(lambda self: self.actors)
    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        self.run(self.actors[pick % len(self.actors)].finish())
        self._bury()

    @precondition(lambda self: self.actors)
    @rule(pick=PICK)
    def kill(self, pick: int) -> None:
        self.run(self.actors.pop(pick % len(self.actors)).kill())

    @precondition(
        lambda self: all(actor.name in self.numbers or actor.name.startswith("ixv_") for actor in self.actors)
    )
    @rule()
    def let_leases_of_the_dead_end(self) -> None:
        self.run(self.workshop.expire(*(actor.name for actor in self.actors)))

    # What engineers do

    @rule(pick=PICK, paused=st.booleans())
    def pause_or_resume(self, pick: int, paused: bool) -> None:
        async def change() -> None:
            async with self.workshop.database.write() as session:
                await (builds.pause if paused else builds.resume)(session, version, ENGINEER)

        if version := self._version(pick, VersionState.BUILDING, VersionState.FAILED):
            with contextlib.suppress(Conflict):
                self.run(change())

    @rule(pick=PICK)
    def promote(self, pick: int) -> None:
        if version := self._version(pick, *VersionState):
            with contextlib.suppress(Conflict):
                self.run(self.workshop.promote(self.store, version.id))

    @rule()
    def roll_back(self) -> None:
        with contextlib.suppress(Conflict):
            self.run(self.workshop.rollback(self.store))

    @rule(pick=PICK)
    def delete_version(self, pick: int) -> None:
        if version := self._version(pick, *VersionState):
            with contextlib.suppress(Conflict):
                self.run(self.workshop.delete_version(self.store, version.id))

    @rule(name=NAMES)
    def take_snapshot(self, name: str) -> None:
        with contextlib.suppress(Conflict):
            self.run(self.workshop.snapshot(self.store, name))
            self.snapshots[name] = self.run(self.workshop.documents(self.store))

    @precondition(lambda self: self.snapshots)
    @rule(pick=PICK)
    def remove_snapshot(self, pick: int) -> None:
        name = sorted(self.snapshots)[pick % len(self.snapshots)]
        self.run(self.workshop.remove_snapshot(self.store, name))
        del self.snapshots[name]

    @precondition(lambda self: self.snapshots)
    @rule(pick=PICK)
    def restore_snapshot(self, pick: int) -> None:
        name = sorted(self.snapshots)[pick % len(self.snapshots)]
        complete = self._revisions(RevisionState.CURRENT, RevisionState.SUPERSEDED).values()
        self.run(self.workshop.restore(self.store, name))
        for key, document in self.documents.items():
            document.restored = self.snapshots[name].get(key)
            document.seen = max((self.numbers[row.id] for row in complete if row.key == key), default=-1)

    # What must hold

    @invariant()
    def readers_see_just_what_is_current(self) -> None:
        current = {row.key for row in self._revisions(RevisionState.CURRENT).values()}
        for version in self.run(self.workshop.versions(self.store, *versions.SEARCHABLE)):
            found = self._found(index_version=version.id)
            assert found.keys() == current
            for key, text in found.items():
                assert text in {*self.documents[key].writes.values(), self.documents[key].restored}
        for name, named in self.snapshots.items():
            assert self._found(snapshot=name) == named

    @rule()
    def settle(self) -> None:
        """Let everything end that was begun."""
        for actor in self.actors:
            self.run(actor.finish())
        self._bury()
        self.run(self._settle())
        expected = {key: document.expected() for key, document in self.documents.items()}
        expected = {key: text for key, text in expected.items() if text is not None}
        for version in self.run(self.workshop.versions(self.store, *versions.SEARCHABLE)):
            assert self._found(index_version=version.id) == expected
            for name, named in self.snapshots.items():
                assert self._found(index_version=version.id, snapshot=name) == named

    async def _settle(self) -> None:
        await self.workshop.expire()
        await self.workshop.work()
        await self.workshop.build()
        for _ in range(2):  # the second finds what the first hid
            await self.workshop.reconciler.once()
        await self.workshop.check(self.store)

    def _start(self, name: str, work: Coroutine[Any, Any, Any], steps: int) -> Actor:
        async def started() -> Actor:
            actor = Actor(name, work)
            await actor.step(steps)
            return actor

        self.actors.append(actor := self.run(started()))
        self._bury()
        return actor

    def _act(self, name: str, request: Coroutine[Any, Any, Any]) -> None:
        """A request, as far as its first change; the rest of it is an actor's like any other's."""
        self.run(self._start(name, request, steps=0).step_over_change())
        self._bury()

    def _bury(self) -> None:
        ended = [actor for actor in self.actors if actor.ended]
        self.actors = [actor for actor in self.actors if not actor.ended]
        for actor in ended:
            self.run(actor.finish())  # raises what it ended with

    def _found(self, **where: str) -> dict[str, str]:
        return self.run(self.workshop.documents(self.store, Query(("rule",), limit=500, **where)))

    def _revisions(self, *states: RevisionState) -> dict[str, Any]:
        return self.run(self.workshop.revisions(self.store, *states))

    def _version(self, pick: int, *states: VersionState) -> Any:
        found = self.run(self.workshop.versions(self.store, *states))
        return found[pick % len(found)] if found else None


@cache
def _empty_catalog() -> bytes:
    """The file of a catalog with nothing in it; migrations take longer than what is done here with one."""

    async def made(folder: Path) -> bytes:
        database = open_database(CatalogSettings(), folder)
        await schema.upgrade(database)
        await database.close()
        return (folder / "catalog.db").read_bytes()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(made(Path(folder)))


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for time to pass, and no actor stands at two places."""
    monkeypatch.setattr(erase, "_GRACE_TRIES", 1)
    monkeypatch.setattr(erase, "_GRACE_STEP_S", 0)
    monkeypatch.setattr(erase, "_REVISIONS_AT_ONCE", 1)
    monkeypatch.setattr(rebuild, "_REVISIONS_AT_ONCE", 1)
    monkeypatch.setattr(reconcile, "_GRACE_S", -1.0)


def examples(number: int, steps: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, stateful_step_count=steps, deadline=None, suppress_health_check=slow)


@pytest.mark.usefixtures("_at_once")
def test_versions_hold_what_readers_may_see_whatever_happens() -> None:
    run_state_machine_as_test(Store, settings=examples(12, steps=30))


@pytest.mark.slow
@pytest.mark.usefixtures("_at_once")
def test_versions_hold_what_readers_may_see_whatever_happens_for_long() -> None:
    run_state_machine_as_test(Store, settings=examples(400, steps=60))
