"""A catalog goes from release to release, and back, with what is in it."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect, text

from indexes.catalog import schema
from indexes.catalog.database import Database
from indexes.catalog.tables import Base
from indexes.manifest import AnnSpec, Chunking
from tests.workshop import MANIFEST, Workshop


async def migrate(database: Database, revision: str) -> None:
    change = command.upgrade if revision == "head" else command.downgrade
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: change(schema.config(sync), revision))


async def columns(database: Database, table: str) -> set[str]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: {one["name"] for one in inspect(sync).get_columns(table)})


async def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def test_the_tables_are_what_the_migrations_make_forth_and_back(database: Database) -> None:
    def differences(sync, expected: MetaData) -> list[object]:
        return compare_metadata(MigrationContext.configure(sync), expected)

    def reflected(sync) -> MetaData:
        found = MetaData()
        found.reflect(sync)
        return found

    await migrate(database, "base")
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema.config(sync), "0001"))
        first = await connection.run_sync(reflected)
    for revision, expected in (("head", Base.metadata), ("0001", first)):
        await migrate(database, revision)
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences, expected) == []


async def test_documents_of_the_first_release_are_found_and_built_anew(database: Database, tmp_path: Path) -> None:
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    await workshop.upload(store, "a", "The first rule is old. " * 20)
    await workshop.upload(store, "b", "The second rule is older.")
    await workshop.work()
    await workshop.upload(store, "b", "The rule that is on its way.")
    before = await workshop.search(store)

    await migrate(database, "0001")
    assert "cut" not in await columns(database, "chunks")
    await migrate(database, "head")

    assert {cut for (cut,) in await rows(database, "SELECT DISTINCT cut FROM chunks")} == {MANIFEST.cut}
    held = await rows(database, "SELECT version_id, revision_id, chunks FROM holdings WHERE verified_at IS NOT NULL")
    assert {(version, revision): chunks for version, revision, chunks in held} == {
        (store.live_version, revision): chunks
        for revision, chunks in workshop.inventory(await workshop.version(store.live_version)).items()
    }
    assert await workshop.search(store) == before
    await workshop.work()
    version = await workshop.built(store, ann=AnnSpec(m=8))
    await workshop.promote(store, version.id)
    assert {hit.chunk.text.split(".")[0] for hit in await workshop.search(store)} == {
        "The first rule is old",
        "The rule that is on its way",
    }


async def test_going_back_keeps_the_live_version(database: Database, tmp_path: Path) -> None:
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    await workshop.upload(store, "a", "The first rule is old. " * 20)
    await workshop.work()
    finer = await workshop.built(store, chunking=Chunking(16, 0))
    await workshop.promote(store, finer.id)
    before = await workshop.search(store)
    await migrate(database, "0001")
    assert await rows(database, "SELECT id FROM index_versions WHERE state != 'deleted'") == [(finer.id,)]
    await migrate(database, "head")
    assert await workshop.search(store) == before


async def test_going_back_to_the_second_release_forgets_nothing_of_versions(database: Database, tmp_path: Path) -> None:
    workshop = Workshop(database, tmp_path)
    store = await workshop.store()
    await workshop.upload(store, "a", "The first rule is old. " * 20)
    await workshop.work()
    held = await rows(database, "SELECT version_id, revision_id FROM holdings")
    assert held
    await migrate(database, "0002")
    await migrate(database, "head")
    assert await rows(database, "SELECT version_id, revision_id FROM holdings") == held
