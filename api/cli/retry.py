"""`citewell retry`: failed documents go back in line."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexes.errors import InvalidRequest

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.cli.ingestion import Outcome
    from api.wire.documents import Document


def retry(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Name or id of a store.")],
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Failed or cancelled documents.")] = None,
    all_failed: Annotated[bool, typer.Option("--all", help="Every failed document of the store.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a document.")] = False,
) -> None:
    """Put documents back in line, each from the stage it had reached.

    Exit code 0: done; 1: some are not in line, and a table says why; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import connect
    from api.cli.ingest import print_outcomes
    from api.cli.output import print_json
    from api.wire.documents import Document

    if bool(keys) == all_failed:
        raise InvalidRequest("Say which documents: name their keys, or all that failed with --all.")
    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}"
        if all_failed:
            failed = list(client.pages(f"{path}/documents", Document, {"status": "failed"}))
            outcomes = [_tried_again(client, path, document) for document in failed]
        else:
            outcomes = [_named(client, path, key) for key in keys or ()]
    if as_json:
        print_json(outcomes)
    else:
        print_outcomes(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _named(client: "Client", path: str, key: str) -> "Outcome":
    from api.cli.ingestion import Outcome
    from api.wire.documents import Document

    for document in client.pages(f"{path}/documents", Document, {"key": key}):
        return _tried_again(client, path, document)
    return Outcome(key=key, status="failed", code="not_found", message="There is no document under this key.")


def _tried_again(client: "Client", path: str, document: "Document") -> "Outcome":
    from api.cli.client import RefusedByServer
    from api.cli.ingestion import Outcome
    from api.wire.vector_store_files import VectorStoreFile

    try:
        file = client.post(f"{path}/files/{document.file_id}/retry", VectorStoreFile, {})
    except RefusedByServer as refusal:
        return Outcome(key=document.key, status="failed", code=refusal.code, message=refusal.message)
    return Outcome(key=document.key, status=file.status, file_id=file.id)
