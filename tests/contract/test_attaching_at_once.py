"""Files attached to one store at the same moment, while a revision of it completes, do not block each other."""

import asyncio

from indexes.catalog import completing, revisions, stores, versions, work
from indexes.catalog.database import Database
from indexes.catalog.revisions import Attachment
from indexes.catalog.tables import File, IndexVersion, Revision, Store, VersionState
from indexes.catalog.work import Lease
from indexes.ids import Kind, new_id

AT_ONCE = 8


async def attach(database: Database, store: Store, file: File) -> Revision:
    async with database.write() as session:
        await stores.use(session, "p", store.id)
        return await revisions.attach(session, store.id, Attachment(file, "a.md", {}))


async def complete(database: Database, store: Store) -> None:
    async with database.write() as session:
        claimed = await work.claim(session, store.id, "w", lease_s=60)
    assert claimed is not None
    async with database.write() as session:
        await versions.kept_ids(session, store.id)
        await completing.complete(session, Lease(claimed.id, "w", claimed.fence))


async def test_attaching_and_completing_take_turns(database: Database) -> None:
    store = Store(id=new_id(Kind.STORE), project="p", name="s", live_version=new_id(Kind.VERSION))
    version = IndexVersion(
        id=store.live_version, store_id=store.id, state=VersionState.LIVE, manifest={}, manifest_hash=""
    )
    files = [
        File(id=new_id(Kind.FILE), project="p", sha256=str(n), bytes=1, filename="a.md", purpose="user_data")
        for n in range(AT_ONCE)
    ]
    async with database.write() as session:
        session.add_all([store, *files])
        await session.flush()
        session.add(version)
    await attach(database, store, files[0])
    await asyncio.gather(complete(database, store), *(attach(database, store, file) for file in files[1:]))
    async with database.read() as session:
        assert len(await revisions.of_keys(session, store.id, ["a.md"])) == AT_ONCE
