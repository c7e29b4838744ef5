"""The entry point `citewell`, and what exit codes mean.

0: done. 1: something failed or was refused. 2: wrong usage or settings. 3: the server cannot be reached.
"""

import sys

import typer

from api.cli import (
    ask,
    config,
    demo,
    golden,
    ingest,
    keys,
    prompts,
    replay,
    retrieval,
    retry,
    search,
    serve,
    snapshots,
    stores,
    versions,
    worker,
)
from indexes.errors import CitewellError, InvalidRequest, SettingsError, Unavailable

app = typer.Typer(
    name="citewell",
    help="Search and cited answers over your documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("retrieval")(retrieval.retrieval)
app.command("ingest")(ingest.ingest)
app.command("retry")(retry.retry)
app.command("ask")(ask.ask)
app.command("search")(search.search)
app.command("replay")(replay.replay)
app.add_typer(stores.app, name="stores")
app.add_typer(versions.app, name="versions")
app.add_typer(golden.app, name="golden")
app.add_typer(snapshots.app, name="snapshots")
app.add_typer(prompts.app, name="prompts")
app.add_typer(keys.app, name="keys")
app.command("config")(config.config)
app.command("demo")(demo.demo)


def main() -> None:
    """Run one command; errors of ours become one sentence and an exit code."""
    try:
        app()
    except CitewellError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(exit_code(error))


def exit_code(error: CitewellError) -> int:
    """What a shell script may branch on."""
    match error:
        case InvalidRequest() | SettingsError():
            return 2
        case Unavailable():
            return 3
        case _:
            return 1


if __name__ == "__main__":
    main()
