"""`citewell prompts`: what language models are told, in versions that never change."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from api.cli import live_prompts
from api.cli.stores import AsJson
from indexes.errors import InvalidRequest

if TYPE_CHECKING:
    from api.wire.prompts import Prompt

app = typer.Typer(help="Prompts: what language models are told, in versions.", no_args_is_help=True)
app.command("live")(live_prompts.live)
app.command("rollback")(live_prompts.rollback)
app.command("history")(live_prompts.history)
_Version = Annotated[str | None, typer.Option(help="Number, id or hash; left out: the version that is live.")]


@app.command("list")
def list_prompts(store: live_prompts.Place = None, as_json: AsJson = False) -> None:
    """List the prompts, and what of them is live in the project or in a store."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table
    from api.wire.prompts import Prompt

    with connect() as client:
        found = list(client.pages("/prompts", Prompt, live_prompts.place_of(client, store)))
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "live", "newest", "versions", "test cases"],
        (
            [one.name, one.live.label if one.live else "none", one.newest.label, one.newest.version, len(one.tests)]
            for one in found
        ),
    )


@app.command("show")
def show(
    name: live_prompts.PromptName, version: _Version = None, store: live_prompts.Place = None, as_json: AsJson = False
) -> None:
    """Print a version of a prompt, to change and to add again."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.prompts import Prompt, PromptVersion

    with connect() as client:
        path = live_prompts.path_of(name)
        which = version or _live_or_newest(client.get(path, Prompt, live_prompts.place_of(client, store)))
        found = client.get(f"{path}/versions/{quote(live_prompts.bare(which), safe='')}", PromptVersion)
    if as_json:
        print_json([found])
    else:
        sys.stdout.write(found.text)


@app.command("add")
def add(
    name: live_prompts.PromptName,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The template; `-` reads standard input.")],
    tests: Annotated[Path | None, typer.Option(help="JSON file with a list of test cases in place of the old.")] = None,
    reason: live_prompts.Why = None,
    as_json: AsJson = False,
) -> None:
    """Keep a text as the next version of a prompt. Answers do not change until it is set live."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.prompts import PromptVersion

    body = {"name": name, "text": _read(path), "reason": reason, "tests": _cases(tests) if tests else None}
    with connect() as client:
        made = client.post("/prompts", PromptVersion, body)
    if as_json:
        print_json([made])
    else:
        sys.stdout.write(f"{made.label} is version {made.version} of {made.prompt!r}.\n")


@app.command("diff")
def diff(
    name: live_prompts.PromptName,
    before: Annotated[str, typer.Argument(metavar="VERSION", help="Number, id or hash.")],
    after: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="Left out: the newest version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one version to another."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.prompts import PromptDiff

    with connect() as client:
        params: dict[str, str | int] = {"before": live_prompts.bare(before)}
        if after is not None:
            params["after"] = live_prompts.bare(after)
        found = client.get(f"{live_prompts.path_of(name)}/diff", PromptDiff, params)
    if as_json:
        print_json([found])
    elif found.diff:
        sys.stdout.write(found.diff + "\n")


@app.command("test")
def test(name: live_prompts.PromptName, version: _Version = None, as_json: AsJson = False) -> None:
    """Run the test cases of a prompt on its newest version, or on another.

    Exit code 0: all pass; 1: one fails; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import connect
    from api.wire.prompts import PromptTestReport

    with connect() as client:
        body = {"version": live_prompts.bare(version) if version else None}
        report = client.post(f"{live_prompts.path_of(name)}/trial", PromptTestReport, body)
    live_prompts.print_report(report, as_json=as_json)
    if not report.passed:
        raise typer.Exit(1)


def _live_or_newest(prompt: "Prompt") -> str:
    return (prompt.live or prompt.newest).id


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if path == Path("-") else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}.") from error


def _cases(path: Path) -> Any:  # noqa: ANN401 - the server says what is wrong with it
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise InvalidRequest(f"{path} is not valid JSON: {error}.") from error
