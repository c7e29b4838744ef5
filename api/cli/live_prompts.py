"""`citewell prompts live | rollback | history`: which version of a prompt is in force where, and why."""

import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from api.cli.stores import AsJson

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.wire.prompts import PromptChange, PromptTestReport

PromptName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a prompt: `answer`, `condense` or your own.")]
Place = Annotated[str | None, typer.Option("--store", help="Name or id of a store; left out: the project.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why; kept in the history.")]


def live(
    name: PromptName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Number, id, hash or label of a version.")],
    store: Place = None,
    force: Annotated[bool, typer.Option("--force", help="Although test cases fail; needs --reason.")] = False,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Put a version in force, if its test cases let it.

    Exit code 0: it is live; 1: it is refused, and the report says why; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import RefusedByServer, connect
    from api.wire.prompts import PromptChange

    with connect() as client:
        body = {"version": bare(version), "force": force, "reason": reason, **place_of(client, store)}
        try:
            change = client.post(f"{path_of(name)}/live", PromptChange, body)
        except RefusedByServer as refusal:
            if refusal.trial is None:
                raise
            print_report(refusal.trial, as_json=as_json)
            if not as_json:
                sys.stderr.write("It is not live. Use --force with a --reason if you know better.\n")
            raise typer.Exit(1) from refusal
    _said(change, as_json=as_json)


def rollback(name: PromptName, store: Place = None, reason: Why = None, as_json: AsJson = False) -> None:
    """Put in force again what was so before."""
    from api.cli.client import connect
    from api.wire.prompts import PromptChange

    with connect() as client:
        body = {"reason": reason, **place_of(client, store)}
        _said(client.post(f"{path_of(name)}/rollback", PromptChange, body), as_json=as_json)


def history(name: PromptName, store: Place = None, as_json: AsJson = False) -> None:
    """Show who put which version in force, when and why; the newest first."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table, when
    from api.wire.prompts import PromptChange

    with connect() as client:
        found = list(client.pages(f"{path_of(name)}/history", PromptChange, place_of(client, store)))
    if as_json:
        print_json(found)
        return
    print_table(
        ["when", "what", "live from then on", "who", "why"],
        (
            [
                when(one.created_at),
                f"{one.kind} (forced)" if one.forced else one.kind,
                one.live.label if one.live else "none of its own",
                one.actor,
                one.reason,
            ]
            for one in found
        ),
    )


def path_of(name: str) -> str:
    """The path of a prompt."""
    return f"/prompts/{quote(name, safe='')}"


def place_of(client: "Client", store: str | None) -> dict[str, str | int]:
    """What a request says of the place: the store of that id or name, or nothing. Raises NotFound."""
    return {"vector_store_id": client.store(store).id} if store is not None else {}


def bare(version: str) -> str:
    """A version without the name that labels have in front."""
    return version.rpartition("@")[2]


def print_report(report: "PromptTestReport", *, as_json: bool) -> None:
    """What became of the test cases."""
    from api.cli.output import print_json, print_table

    if as_json:
        print_json([report])
        return
    print_table(
        ["test case", "", "tokens", "failures"],
        (
            [one.name, "passed" if one.passed else "failed", one.tokens, " ".join(one.failures)]
            for one in report.results
        ),
    )


def _said(change: "PromptChange", *, as_json: bool) -> None:
    from api.cli.output import print_json

    if as_json:
        print_json([change])
        return
    where = "the store" if change.vector_store_id else "the project"
    what = f"{change.live.label} is live" if change.live else f"No version of {change.prompt!r} is live any more"
    sys.stdout.write(f"{what} in {where}.\n")
