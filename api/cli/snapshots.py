"""`citewell snapshots`: named points in time of a store."""

import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from api.cli.stores import AsJson, StoreName

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.wire.snapshots import Snapshot

app = typer.Typer(help="Snapshots: points in time to search, compare and go back to.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Name or id of a snapshot.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("take")
def take(
    store: StoreName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Not used by another snapshot of the store.")],
    as_json: AsJson = False,
) -> None:
    """Name what readers see now."""
    from api.cli.client import connect
    from api.wire.snapshots import Snapshot

    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}/snapshots"
        _print([client.post(path, Snapshot, {"name": name})], as_json=as_json)


@app.command("list")
def list_snapshots(store: StoreName, as_json: AsJson = False) -> None:
    """List the snapshots of a store, the newest first."""
    from api.cli.client import connect
    from api.wire.snapshots import Snapshot

    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}/snapshots"
        _print(list(client.pages(path, Snapshot)), as_json=as_json)


@app.command("diff")
def diff(
    store: StoreName,
    snapshot: _Name,
    to: Annotated[str, typer.Argument(metavar="[TO]", help="Another snapshot, or `now`.")] = "now",
    as_json: AsJson = False,
) -> None:
    """List the documents that were added, changed or removed from a snapshot to another one, or to now."""
    from api.cli.client import connect
    from api.cli.output import console, print_json
    from api.wire.snapshots import SnapshotDifference

    with connect() as client:
        found = client.get(f"{_path(client, store, snapshot)}/diff", SnapshotDifference, {"to": to})
    if as_json:
        print_json([found])
        return
    for sign, keys in (("+", found.added), ("~", found.changed), ("-", found.removed)):
        for key in keys:
            console.print(f"{sign} {key}", markup=False)
    counts = f"{len(found.added)} added, {len(found.changed)} changed, {len(found.removed)} removed."
    console.print(counts)


@app.command("restore")
def restore(
    store: StoreName,
    snapshot: _Name,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the history.")] = None,
    yes: _Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let readers see again what a snapshot names, and nothing else. What was deleted since stays deleted."""
    from api.cli.client import connect
    from api.wire.snapshots import Snapshot

    with connect() as client:
        path = _path(client, store, snapshot)
        if not yes:
            typer.confirm(f"Show readers of {store!r} the documents of {snapshot!r}, and no others?", abort=True)
        _print([client.post(f"{path}/restore", Snapshot, {"reason": reason})], as_json=as_json)


@app.command("delete")
def delete(store: StoreName, snapshot: _Name, yes: _Yes = False) -> None:
    """Forget a snapshot, and what only it kept."""
    from api.cli.client import connect
    from api.wire.snapshots import SnapshotDeleted

    with connect() as client:
        path = _path(client, store, snapshot)
        if not yes:
            typer.confirm(f"Delete the snapshot {snapshot!r} of {store!r}?", abort=True)
        gone = client.delete(path, SnapshotDeleted)
    sys.stdout.write(f"{gone.id} is deleted.\n")


def _path(client: "Client", store: str, snapshot: str) -> str:
    return f"/vector_stores/{client.store(store).id}/snapshots/{quote(snapshot, safe='')}"


def _print(snapshots: "list[Snapshot]", *, as_json: bool) -> None:
    from api.cli.output import print_json, print_table, when

    if as_json:
        print_json(snapshots)
        return
    print_table(
        ["name", "taken", "documents", "deleted since", "version then", "id"],
        (
            [one.name, when(one.created_at), one.documents, one.deleted_documents, one.index_version, one.id]
            for one in snapshots
        ),
    )
