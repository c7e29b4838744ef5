"""Documents that were taken out of a mail or an archive, each below the revision it was found in."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from indexes.catalog import deleting, holdings, revisions
from indexes.catalog.database import batched
from indexes.catalog.deleting import Doomed
from indexes.catalog.revisions import LISTED
from indexes.catalog.tables import BatchRevision, File, Revision, RevisionState
from indexes.errors import Unavailable
from indexes.ids import Kind, new_id


@dataclass(frozen=True, slots=True)
class Part:
    """What a parent holds under a key of the store. `file` is None where the store was seen to hold it already."""

    key: str
    sha256: str
    file: File | None


@dataclass(frozen=True, slots=True)
class Attached:
    """`due` is to be worked on, `gone` to be erased."""

    due: Sequence[Revision] = ()
    gone: Doomed = field(default_factory=Doomed)


async def held(session: AsyncSession, parent: Revision, digests: Mapping[str, str]) -> dict[str, Revision]:
    """By key: what a store holds already of the parts of `parent`, given the SHA-256 of each by key."""
    newest: dict[str, Revision] = {}
    for keys in batched(list(digests)):
        query = select(Revision).where(
            Revision.store_id == parent.store_id, Revision.key.in_(keys), Revision.state.in_(LISTED)
        )
        newest |= {row.key: row for row in await session.scalars(query.order_by(Revision.seq))}
    chunking = (parent.max_tokens, parent.overlap_tokens)
    return {
        key: row
        for key, row in newest.items()
        if (row.sha256, row.max_tokens, row.overlap_tokens) == (digests[key], *chunking)
    }


async def attach(session: AsyncSession, parent: Revision, parts: Collection[Part]) -> Attached:
    """Make these, and no others, the parts of a revision that has just become current, in the same transaction.

    The same bytes under the same key are kept and move below `parent`. Others supersede what has their key, once they
    are completed. What only earlier revisions of the parent's key held is deleted. Doing it twice changes nothing.
    Raises Unavailable where a part without a file is held no more: whoever looks again knows better.
    """
    already = await held(session, parent, {part.key: part.sha256 for part in parts})
    new = []
    for part in parts:
        if part.key in already:
            continue
        if part.file is None:
            raise Unavailable(f"The document '{part.key}' was changed meanwhile. Its parent is worked on again.")
        new.append((part.file, _revision(parent, part.key, part.file)))
    for some in batched(new):
        session.add_all(row for pair in some for row in pair)
        await session.flush()
    # A document that the owner has attached under the key of a part stays the owner's.
    moved = [row for row in already.values() if row.parent_id not in (None, parent.id)]
    for row in moved:
        row.parent_id = parent.id
        revisions.change_attributes(row, parent.attributes)
    await session.flush()
    await _share_batches(session, parent)
    again = []
    for ids in batched([row.id for row in moved]):
        again += await revisions.try_again(session, Revision.id.in_(ids), Revision.state.in_(revisions.STOPPED))
    keys = {part.key for part in parts}
    vanished = [ident for ident, key in await _of_predecessors(session, parent) if key not in keys]
    named = await _superseded(session, vanished)
    gone = await deleting.of_parts(session, [ident for ident in vanished if ident not in named])
    return Attached([*(row for _, row in new), *again], gone)


async def parents(session: AsyncSession, rows: Collection[Revision]) -> dict[str | None, Revision]:
    """The parents of those of the rows that have one, by id."""
    ids = {row.parent_id for row in rows if row.parent_id is not None}
    if not ids:
        return {}
    return {row.id: row for row in await session.scalars(select(Revision).where(Revision.id.in_(ids)))}


async def _of_predecessors(session: AsyncSession, parent: Revision) -> Iterable[tuple[str, str]]:
    """Ids and keys of what is listed of the parts of other revisions of the parent's key."""
    others = select(Revision.id).where(
        Revision.store_id == parent.store_id, Revision.key == parent.key, Revision.id != parent.id
    )
    query = select(Revision.id, Revision.key).where(Revision.parent_id.in_(others), Revision.state.in_(LISTED))
    return [(ident, key) for ident, key in await session.execute(query)]


async def _superseded(session: AsyncSession, revision_ids: Sequence[str]) -> set[str]:
    """Hide those that a snapshot names, which are needed to restore it; gives their ids."""
    named: set[str] = set()
    for ids in batched(revision_ids):
        current = (Revision.id.in_(ids), Revision.state == RevisionState.CURRENT, holdings.in_snapshot())
        hidden = update(Revision).where(*current).values(state=RevisionState.SUPERSEDED).returning(Revision.id)
        named.update(await session.scalars(hidden, execution_options={"synchronize_session": False}))
    return named


async def _share_batches(session: AsyncSession, parent: Revision) -> None:
    """Make every part of `parent` a member of the batches that it is in."""
    known = aliased(BatchRevision)
    is_member = exists().where(known.batch_id == BatchRevision.batch_id, known.revision_id == Revision.id)
    members = (
        select(BatchRevision.batch_id, Revision.id)
        .join(Revision, Revision.parent_id == BatchRevision.revision_id)
        .where(BatchRevision.revision_id == parent.id, ~is_member)
    )
    await session.execute(insert(BatchRevision).from_select(["batch_id", "revision_id"], members))


def _revision(parent: Revision, key: str, file: File) -> Revision:
    return Revision(
        id=new_id(Kind.REVISION),
        store_id=parent.store_id,
        file_id=file.id,
        sha256=file.sha256,
        filename=file.filename,
        key=key,
        parent_id=parent.id,
        attributes=dict(parent.attributes),
        max_tokens=parent.max_tokens,
        overlap_tokens=parent.overlap_tokens,
    )
