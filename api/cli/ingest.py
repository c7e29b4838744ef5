"""`citewell ingest`: a file or a folder into a store, and what became of each document."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexes.errors import InvalidRequest

if TYPE_CHECKING:
    from api.cli.ingestion import Outcome


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all they hold.")],
    store: Annotated[str, typer.Option(help="Name or id of the store; made if there is none.")] = "default",
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Uploads at the same time.")] = 4,
    wait: Annotated[bool, typer.Option(help="Wait until every document is completed or failed.")] = True,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Take documents out of the store that are not in the folders.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a document.")] = False,
) -> None:
    """Upload documents under their relative paths as keys. What is there already, byte for byte, is left alone.

    Documents of the store that the folders do not hold are reported as vanished; the uploaded files stay even where
    --mirror takes their documents out.

    Exit code 0: all completed; 1: some failed, and a table says why; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import connect
    from api.cli.ingestion import Ingestion, collect
    from api.cli.output import print_json
    from api.cli.progress import shown_progress

    sources = collect(paths)
    if not sources:
        raise InvalidRequest(f"There are no files in {', '.join(map(str, paths))}.")
    whole = all(path.is_dir() for path in paths)
    if mirror and not whole:
        raise InvalidRequest("--mirror takes folders only: single files do not say what else the store should hold.")
    with connect() as client, shown_progress(len(sources)) as progress:
        ingestion = Ingestion(client, client.store_or_new(store), progress)
        outcomes = ingestion.run(sources, parallel=parallel, wait=wait)
        if whole:
            outcomes += ingestion.vanished(sources, delete=mirror)
    if as_json:
        print_json(outcomes)
    else:
        print_outcomes(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def print_outcomes(outcomes: "list[Outcome]") -> None:
    """How many of each kind, every failure and every warning with its sentence, and what vanished."""
    from api.cli.output import console, print_table

    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        print_table(["file", "code", "what to do"], ([one.key, one.code, one.message] for one in failed))
    for outcome in outcomes:
        for warning in outcome.warnings:
            console.print(f"{outcome.key}: {warning}", markup=False)
    vanished = [outcome.key for outcome in outcomes if outcome.status == "vanished"]
    if vanished:
        console.print("In the store, but not in the folders (--mirror takes them out):")
        console.print("\n".join(f"  {key}" for key in vanished), markup=False)
    kinds = ("completed", "unchanged", "in_progress", "cancelled", "failed", "vanished", "deleted")
    counts = {kind: sum(outcome.status == kind for outcome in outcomes) for kind in kinds}
    summary = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count)
    console.print(f"{len(outcomes)} documents: {summary}.")
