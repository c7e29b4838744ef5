"""`citewell retrieval`: the process that owns the embedded engine and the models where several processes share them."""

from pathlib import Path
from typing import Annotated

import typer


def retrieval(
    socket: Annotated[Path | None, typer.Option(help="Unix socket to listen on.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on by HTTP instead.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on by HTTP.")] = None,
    home: Annotated[Path | None, typer.Option(help="Directory of all data.")] = None,
) -> None:
    """Hold the vectors and run the models for other processes. Stops on SIGTERM or Ctrl-C."""
    from api.retrieval import retrieve
    from api.settings import load

    flags = {"retrieval.socket": socket, "retrieval.host": host, "retrieval.port": port, "home": home}
    retrieve(load(flags).settings)
