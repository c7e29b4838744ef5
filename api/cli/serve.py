"""`citewell serve`: the whole service in one process."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Directory of all data.")] = None,
) -> None:
    """Serve the API, and work on documents unless `worker.embedded` is off. Stops on SIGTERM or Ctrl-C."""
    from api.main import serve as run
    from api.settings import load

    run(load({"server.host": host, "server.port": port, "home": home}).settings)
