"""Prompts in the catalog, on both databases: immutable texts, what is in force where, and the way back."""

import asyncio

import pytest

from indexes.catalog import live_prompts, prompts, stores
from indexes.catalog.database import Database
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor
from indexes.catalog.prompt_tables import PromptText
from indexes.catalog.tables import Store
from indexes.errors import Conflict, InvalidRequest, NotFound
from indexes.ids import Kind, new_id

ANA = Because("ana", "shorter answers")
PASSED = {"passed": True}


async def put(database: Database, text: str, name: str = "answer", project: str = "p") -> PromptText:
    async with database.write() as session:
        return await prompts.put(session, project, name, text, ANA)


async def make_store(database: Database) -> str:
    async with database.write() as session:
        store = Store(id=new_id(Kind.STORE), project="p", name="s", live_version=new_id(Kind.VERSION))
        session.add(store)
    return store.id


async def go_live(database: Database, version: PromptText, store_id: str | None = None) -> None:
    async with database.write() as session:
        prompt = await prompts.get(session, "p", "answer")
        await live_prompts.put(session, prompt, store_id, version, ANA, report=PASSED)


async def roll_back(database: Database, store_id: str | None = None) -> None:
    async with database.write() as session:
        await live_prompts.rollback(session, await prompts.get(session, "p", "answer"), store_id, ANA)


async def in_force(database: Database, store_id: str | None = None, project: str = "p") -> str | None:
    async with database.read() as session:
        found = (await live_prompts.in_force(session, project, store_id)).get("answer")
    return found.text if found else None


async def test_the_same_text_is_the_same_version_whoever_comes_first(database: Database) -> None:
    first, second = await put(database, "one"), await put(database, "two")
    assert (first.number, second.number, (await put(database, "one")).id) == (1, 2, first.id)
    assert (await put(database, "one", project="q")).id != first.id
    made = await asyncio.gather(*(put(database, "new", name="other") for _ in range(4)))
    assert len({row.id for row in made}) == 1
    async with database.read() as session:
        prompt = await prompts.get(session, "p", "answer")
        for which in ("2", second.id, second.sha256[:12]):
            assert (await prompts.version(session, prompt, which)).text == "two"
        with pytest.raises(NotFound, match="no version '3'"):
            await prompts.version(session, prompt, "3")
        with pytest.raises(NotFound, match="no prompt 'missing'"):
            await prompts.get(session, "p", "missing")
        assert await prompts.has(session, "p", {"answer": first.sha256})
        assert not await prompts.has(session, "p", {"other": first.sha256})
        assert (await prompts.newest(session, [prompt.id]))[prompt.id].number == 2


async def test_a_store_goes_before_its_project_and_every_step_leads_back(database: Database) -> None:
    one, two, three = [await put(database, text) for text in ("one", "two", "three")]
    store, other = await make_store(database), await make_store(database)
    await go_live(database, one)
    await go_live(database, two, store)
    await go_live(database, three, store)
    await go_live(database, three, store)  # changes nothing
    assert [await in_force(database, place) for place in (store, other, None)] == ["three", "one", "one"]
    assert await in_force(database, project="q") is None
    seen = []
    for _ in range(2):
        await roll_back(database, store)
        seen.append(await in_force(database, store))
    assert seen == ["two", "one"]  # the project's again
    with pytest.raises(Conflict, match="nothing to go back to"):
        await roll_back(database, store)
    await roll_back(database)
    assert await in_force(database, store) is None
    async with database.read() as session:
        prompt = await prompts.get(session, "p", "answer")
        lines = (await live_prompts.history(session, prompt, store, Cursor(order="asc"))).rows
    assert [(line.kind.value, line.version_id) for line in lines] == [
        ("live", two.id),
        ("live", three.id),
        ("rolled_back", two.id),
        ("rolled_back", None),
    ]
    assert {(line.actor, line.reason) for line in lines} == {("ana", "shorter answers")}


async def test_a_version_after_a_rollback_leads_back_to_what_was_rolled_back_to(database: Database) -> None:
    one, two, three = [await put(database, text) for text in ("one", "two", "three")]
    for version in (one, two):
        await go_live(database, version)
    await roll_back(database)
    await go_live(database, three)
    await roll_back(database)
    assert await in_force(database) == "one"
    await roll_back(database)
    assert await in_force(database) is None


async def test_a_store_takes_its_choices_with_it(database: Database) -> None:
    version, store = await put(database, "one"), await make_store(database)
    await go_live(database, version, store)
    async with database.write() as session:
        await stores.remove(session, store)
    async with database.read() as session:
        prompt = await prompts.get(session, "p", "answer")
        assert not (await live_prompts.history(session, prompt, store, Cursor())).rows


async def test_test_cases_have_names_of_their_own(database: Database) -> None:
    await put(database, "one")
    async with database.write() as session:
        prompt = await prompts.get(session, "p", "answer")
        with pytest.raises(InvalidRequest, match="Two test cases have the name 'a'"):
            await prompts.set_tests(session, prompt, [{"name": "a"}, {"name": "a"}])
        await prompts.set_tests(session, prompt, [{"name": "a"}])
    async with database.read() as session:
        assert (await prompts.get(session, "p", "answer")).tests == [{"name": "a"}]
