"""What may soon be made live is opened in every process beforehand."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from api.state import Storage
from indexes.catalog import builds, versions
from indexes.catalog.history import Because
from indexes.catalog.tables import VersionState
from indexes.index import Engine, Index
from indexes.manifest import AnnSpec, Manifest
from retrieval.ranking import Ranker
from retrieval.settings import SearchSettings
from retrieval.warming import Warmer
from tests.workshop import Workshop


@dataclass
class Watched:
    """An engine that notes which versions are opened."""

    engine: Engine
    opened: list[str] = field(default_factory=list)

    def open(self, version_id: str, manifest: Manifest) -> Index:
        self.opened.append(version_id)
        return self.engine.open(version_id, manifest)


async def ready(storage: Storage, store: Any, manifest: Manifest) -> str:
    async with storage.database.write() as session:
        row = await builds.create(session, store.id, manifest, Because())
        row.state = VersionState.READY
    storage.engine.create(row.id, manifest)
    return row.id


async def test_each_candidate_is_opened_once_and_a_broken_one_stops_no_other(storage: Storage, ingest: Any) -> None:
    store = await ingest.store()
    async with storage.database.read() as session:
        manifest = versions.opened_as(await versions.live(session, store.id)).manifest
    gone = dataclasses.replace(manifest.embedding, weights="of a model that is not installed any more")
    good = await ready(storage, store, dataclasses.replace(manifest, ann=AnnSpec(m=8)))
    await ready(storage, store, dataclasses.replace(manifest, embedding=gone))
    engine = Watched(storage.engine)
    warmer = Warmer(storage.database, Ranker(engine, storage.models, SearchSettings()))  # type: ignore[arg-type]
    for _ in range(2):
        await warmer.once()
        assert engine.opened.count(good) == 2  # by its two searches
    # What is live is opened by its own queries; what becomes ready later is found.
    later = await ready(storage, store, dataclasses.replace(manifest, ann=AnnSpec(m=9)))
    await warmer.once()
    assert engine.opened.count(later) == 2 and store.live_version not in engine.opened


async def test_a_damaged_candidate_is_reported_and_stops_no_older_one(workshop: Workshop) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a", "A rule of herons.")
    await workshop.work()
    older, damaged = await workshop.built(store, ann=AnnSpec(m=8)), await workshop.built(store, ann=AnnSpec(m=9))
    workshop.engine.drop(damaged.id)
    warmer = Warmer(workshop.database, workshop.searcher._ranker)
    await warmer.once()
    assert warmer._warmed == {older.id}
    assert (await workshop.version(damaged.id)).restoring_since is not None
    while (row := await workshop.claim_build(restoring=True)) is not None:
        await workshop.builder.build(row)
    await warmer.once()
    assert warmer._warmed == {older.id, damaged.id}
