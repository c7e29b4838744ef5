"""Whose key comes with a request: kept for a moment, and never beyond a commit of any process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.callers import Callers
from indexes.catalog import keys, schema
from indexes.catalog.database import Database, open_database
from indexes.catalog.tables import ApiKey, Role
from indexes.settings import CatalogSettings


async def _key(database: Database) -> tuple[ApiKey, str]:
    async with database.write() as session:
        return await keys.create(session, "ci", "p", Role.READ)


async def test_a_key_that_another_process_revoked_is_refused_from_the_next_request_on(tmp_path: Path) -> None:
    here, elsewhere = (open_database(CatalogSettings(), tmp_path) for _ in range(2))
    await schema.upgrade(here)
    row, secret = await _key(elsewhere)
    callers = Callers(here)
    assert [await callers.of(secret) is not None for _ in range(2)] == [True, True]
    async with elsewhere.write() as session:
        await keys.revoke(session, row.id)
    assert await callers.of(secret) is None
    await here.close()
    await elsewhere.close()


async def test_the_catalog_is_asked_once_while_nothing_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(CatalogSettings(), tmp_path)
    await schema.upgrade(database)
    _, secret = await _key(database)
    asked, snapshot = [], database.snapshot

    async def counted(read: Callable[..., Any]) -> object:
        asked.append(read)
        return await snapshot(read)

    monkeypatch.setattr(database, "snapshot", counted)
    callers = Callers(database)
    for _ in range(3):
        assert await callers.of(secret)
    assert len(asked) == 1
    await _key(database)
    assert await callers.of(secret)
    assert len(asked) == 2
    await database.close()


async def test_a_key_is_known_and_refused_on_either_database(database: Database) -> None:
    row, secret = await _key(database)
    callers = Callers(database)
    caller = await callers.of(secret)
    assert caller is not None
    assert (caller.project, caller.role) == ("p", Role.READ)
    assert await callers.of(secret + "x") is None
    async with database.write() as session:
        await keys.revoke(session, row.id)
    assert await callers.of(secret) is None
