"""Hits get what stands around them, of what readers may see and of nothing else (I4)."""

from functools import partial

from indexes.catalog import surroundings, visibility
from indexes.catalog.surroundings import Surroundings
from indexes.catalog.tables import Store
from indexes.model import Chunk
from ingestion.parse.artefact import loads
from retrieval.neighbours import joined
from retrieval.query import Query
from tests.workshop import MANIFEST, PROJECT, Workshop

TEXT = "\n\n".join(
    " ".join(f"Rule {number} of part {part} is {number * 7}." for number in range(12)) for part in range(4)
)


async def around(workshop: Workshop, store: Store, chunks: list[Chunk], reach: int) -> dict[str, Surroundings]:
    view = await workshop.database.snapshot(partial(visibility.view, project=PROJECT, store_id=store.id))
    find = partial(surroundings.around, view=view, cut=MANIFEST.cut, chunks=chunks, reach=reach)
    return await workshop.database.snapshot(find)


async def test_a_hit_and_its_neighbours_are_the_text_between(workshop: Workshop) -> None:
    store = await workshop.store()
    await workshop.upload(store, "a.md", TEXT)
    await workshop.upload(store, "b.md", "Another text.")
    await workshop.work()
    (hit,) = await workshop.search(store, Query(("rule 5 of part 2",), limit=1))
    ((revision_id, found),) = (await around(workshop, store, [hit.chunk], reach=2)).items()
    ordinals = [chunk.span.ordinal for chunk in found.chunks]
    own = hit.chunk.span.ordinal
    assert ordinals == list(range(own - 2, own + 3))

    text = loads(workshop.blobs.read(found.text_blob)).text
    (passage,) = joined([hit], {revision_id: found.chunks}, {revision_id: text})
    whole = passage.hit.chunk
    assert whole.text == TEXT[whole.span.start : whole.span.end]
    assert (whole.span.start, whole.span.end) == (found.chunks[0].span.start, found.chunks[-1].span.end)
    assert passage.part(hit.chunk.span.start, hit.chunk.span.end) == hit.chunk


async def test_what_readers_may_not_see_has_no_surroundings(workshop: Workshop) -> None:
    store, other = await workshop.store(), await workshop.store()
    await workshop.upload(store, "a.md", TEXT)
    await workshop.work()
    (hit,) = await workshop.search(store, Query(("rule 5 of part 2",), limit=1))
    assert await around(workshop, other, [hit.chunk], 1) == {}
    assert await around(workshop, store, [], 1) == {}
    await workshop.upload(store, "a.md", "All rules are gone.")
    await workshop.work()
    assert await around(workshop, store, [hit.chunk], 1) == {}
