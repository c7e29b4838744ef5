"""Tasks that stop before each of their transactions, until they are let on or killed there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.database import Database

T = TypeVar("T")
_ACTOR: ContextVar["Actor | None"] = ContextVar("actor", default=None)


class Killed(BaseException):
    """What a killed task ends with: nobody catches it, as nobody catches SIGKILL."""


class Actor:
    """One task. It stands still when `step` returns: before its next transaction, or at its end."""

    def __init__(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self.name = name
        self.steps = self.changed = 0
        self._stands = asyncio.Event()
        self._go = asyncio.Event()
        self._killed = False
        self._task = asyncio.create_task(self._run(work))

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do for it."""
        return self._task.done()

    async def step(self, transactions: int = 1) -> None:
        """Let it on, over so many transactions."""
        for _ in range(transactions):
            await self._stand()
            if self.ended:
                return
            self.steps += 1
            self._stands.clear()
            self._go.set()
        await self._stand()

    async def step_over_change(self) -> None:
        """Let it on until it has committed its next change, or has ended."""
        changed = self.changed
        while not self.ended and self.changed == changed:
            await self.step()

    async def finish(self) -> Any:
        """Let it on to its end."""
        while not self.ended:
            await self.step()
        return await self._task

    async def kill(self) -> None:
        """End it where it stands."""
        self._killed = True
        with contextlib.suppress(Killed):
            await self.finish()

    async def before(self) -> None:
        """Called by its database before each transaction."""
        self._stands.set()
        try:
            await self._go.wait()
        except asyncio.CancelledError:  # the test has failed: what cleans up behind the task must not wait, too
            self._killed = True
            self._go.set()
            raise
        if self._killed:
            self._stands.set()
            raise Killed
        self._go.clear()

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        _ACTOR.set(self)
        return await work

    async def _stand(self) -> None:
        standing = asyncio.create_task(self._stands.wait())
        await asyncio.wait({standing, self._task}, return_when=asyncio.FIRST_COMPLETED)
        standing.cancel()


class SteppedDatabase(Database):
    """A database whose actors stop; whoever is none goes on as ever. No power is cut, so SQLite need not sync."""

    def __init__(self, database: Database) -> None:
        super().__init__(database._reader, database._writer, database._threaded)
        if database.engine.dialect.name == "sqlite":
            for engine in (database._reader, database._writer):
                event.listen(engine.sync_engine, "connect", _unsynced)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        if actor := _ACTOR.get():
            await actor.before()
        async with super().read() as session:
            yield session

    async def snapshot(self, read: Callable[[Connection], T]) -> T:
        if actor := _ACTOR.get():
            await actor.before()
        return await super().snapshot(read)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        actor = _ACTOR.get()
        if actor:
            await actor.before()
        async with super().write() as session:
            yield session
        if actor:
            actor.changed += 1


def _unsynced(connection: Any, _record: object) -> None:
    connection.cursor().execute("PRAGMA synchronous = OFF")
