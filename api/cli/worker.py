"""`citewell worker`: a process that only works on documents."""

from pathlib import Path
from typing import Annotated

import typer


def worker(home: Annotated[Path | None, typer.Option(help="Directory of all data.")] = None) -> None:
    """Parse, chunk and embed documents beside other processes. Stops on SIGTERM or Ctrl-C."""
    from api.main import work
    from api.settings import load

    work(load({"home": home}).settings)
