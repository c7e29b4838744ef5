"""`citewell search`: passages, ranked."""

import json
from typing import Annotated, Any

import typer

from indexes.errors import InvalidRequest

VersionOption = Annotated[
    str | None, typer.Option("--version", help="Ask this index version, `ixv_…`, instead of the live one.")
]
SnapshotOption = Annotated[str | None, typer.Option(help="Ask the documents of this snapshot, by its name or id.")]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    store: Annotated[str | None, typer.Option(help="Name or id of the store; not needed if there is one.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=50, help="The most hits.")] = 5,
    filters: Annotated[str | None, typer.Option(help="Attribute filter of the API, as JSON.")] = None,
    version: VersionOption = None,
    snapshot: SnapshotOption = None,
    explain: Annotated[bool, typer.Option(help="Say what was done and what each stage cost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Find passages in a store, best first."""
    from api.cli.client import connect
    from api.cli.output import console, place, print_json
    from api.wire.search import SearchPage

    body: dict[str, Any] = {"query": query, "max_num_results": limit, "index_version": version, "snapshot": snapshot}
    body["explain"] = explain
    if filters is not None:
        body["filters"] = _parsed(filters)
    with connect() as client:
        page = client.post(f"/vector_stores/{client.store_or_only(store).id}/search", SearchPage, body)
    if as_json:
        print_json(page.data)
        return
    for number, hit in enumerate(page.data, 1):
        console.print(f"{number}. {hit.score:.3f}  {place(hit.key, hit.page, hit.start)}", style="bold", markup=False)
        console.print("   " + " ".join(hit.content[0].text.split()), markup=False)
    if not page.data:
        console.print("Nothing found.")
    for problem in page.problems:
        console.print(problem, style="yellow", markup=False)
    for stage in page.explain.stages if page.explain else ():
        console.print(f"{stage.ms:9.2f} ms  {stage.name:10} {stage.detail}", markup=False, highlight=False)


def _parsed(filters: str) -> object:
    try:
        return json.loads(filters)
    except ValueError as error:
        raise InvalidRequest(f"--filters is not valid JSON: {error}.") from error
