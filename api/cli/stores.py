"""`citewell stores`: the stores of a server."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.wire.vector_stores import VectorStore

app = typer.Typer(help="Stores: named knowledge bases.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
StoreName = Annotated[str, typer.Argument(metavar="STORE", help="Name or id of a store.")]


@app.command("list")
def list_stores(as_json: AsJson = False) -> None:
    """List all stores, the newest first."""
    from api.cli.client import connect
    from api.wire.vector_stores import VectorStore

    with connect() as client:
        _print(list(client.pages("/vector_stores", VectorStore)), as_json=as_json)


@app.command("create")
def create(name: Annotated[str, typer.Argument(help="Name of the new store.")], as_json: AsJson = False) -> None:
    """Make an empty store."""
    from api.cli.client import connect
    from api.wire.vector_stores import VectorStore

    with connect() as client:
        _print([client.post("/vector_stores", VectorStore, {"name": name})], as_json=as_json)


@app.command("show")
def show(store: StoreName, as_json: AsJson = False) -> None:
    """Show a store and its documents."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table
    from api.wire.documents import Document

    with connect() as client:
        found = client.store(store)
        documents = list(client.pages(f"/vector_stores/{found.id}/documents", Document))
    _print([found], as_json=as_json)
    if as_json:
        print_json(documents)
        return
    print_table(
        ["key", "status", "stage", "chunks", "error"],
        ([one.key, one.status, one.stage, one.chunks_total, one.error and one.error.message] for one in documents),
    )


@app.command("delete")
def delete(store: StoreName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete a store and its indexes. Uploaded files stay."""
    from api.cli.client import connect
    from api.wire.vector_stores import VectorStoreDeleted

    with connect() as client:
        found = client.store(store)
        if not yes:
            typer.confirm(f"Delete the store {found.name!r} with {found.file_counts.total} documents?", abort=True)
        client.delete(f"/vector_stores/{found.id}", VectorStoreDeleted)
    sys.stdout.write(f"{found.id} is deleted.\n")


def _print(stores: "list[VectorStore]", *, as_json: bool) -> None:
    from api.cli.output import print_json, print_table

    if as_json:
        print_json(stores)
        return
    print_table(
        ["id", "name", "status", "completed", "in progress", "failed"],
        (
            [
                one.id,
                one.name,
                one.status,
                one.file_counts.completed,
                one.file_counts.in_progress,
                one.file_counts.failed,
            ]
            for one in stores
        ),
    )
