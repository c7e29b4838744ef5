"""`citewell golden`: golden sets, the queries that index versions are judged by."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from api.cli.stores import AsJson, StoreName
from indexes.errors import InvalidRequest

app = typer.Typer(
    help="Golden sets: queries with what a good search finds, to judge index versions by.", no_args_is_help=True
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a golden set, or the id of one version of it.")]


@app.command("add")
def add(
    store: StoreName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a new set, or of one that gets a new version.")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, one query each; `-` reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Upload a golden set: one query a line, with the keys of the documents that a good search finds.

    {"id": "leave-1", "query": "How many days of leave?", "relevant": {"keys": ["hr/leave.md"]}}
    """
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.golden_sets import GoldenSetSummary

    queries = _read(path)
    with connect() as client:
        route = f"/vector_stores/{client.store(store).id}/golden_sets"
        kept = client.post(route, GoldenSetSummary, {"name": name, "queries": queries})
    if as_json:
        print_json([kept])
    else:
        sys.stdout.write(f"{kept.id} is version {kept.version} of {kept.name!r}, with {kept.query_count} queries.\n")


@app.command("list")
def list_sets(store: StoreName, as_json: AsJson = False) -> None:
    """List the golden sets of a store, each by its newest version."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table, when
    from api.wire.golden_sets import GoldenSetSummary

    with connect() as client:
        found = list(client.pages(f"/vector_stores/{client.store(store).id}/golden_sets", GoldenSetSummary))
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "version", "queries", "id", "uploaded"],
        ([one.name, one.version, one.query_count, one.id, when(one.created_at)] for one in found),
    )


@app.command("show")
def show(store: StoreName, name: _Name) -> None:
    """Print a golden set as JSON lines, to change and to add again."""
    from api.cli.client import connect
    from api.wire.golden_sets import GoldenSet

    with connect() as client:
        found = client.get(f"/vector_stores/{client.store(store).id}/golden_sets/{quote(name, safe='')}", GoldenSet)
    sys.stdout.writelines(query.model_dump_json(exclude_none=True) + "\n" for query in found.queries)


def _read(path: Path) -> list[Any]:
    try:
        content = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error
    queries = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            if line.strip():
                queries.append(json.loads(line))
        except ValueError as error:
            raise InvalidRequest(f"Line {number} of {path} is not valid JSON: {error}.") from error
    return queries
