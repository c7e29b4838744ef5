"""`citewell config`: what is set, and where it came from."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer


def config(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    describe: Annotated[bool, typer.Option(help="Say what each setting is for.")] = False,
) -> None:
    """Print every setting in force: its value, secrets masked, and its source."""
    from api.cli.output import print_table
    from api.settings import load

    knobs = load().knobs()
    if as_json:
        sys.stdout.writelines(json.dumps(asdict(knob)) + "\n" for knob in knobs)
        return
    columns = ["setting", "value", "source", *(["what it is for"] if describe else [])]
    rows = (
        [knob.name, json.dumps(knob.value), knob.source, *([knob.description] if describe else [])] for knob in knobs
    )
    print_table(columns, rows)
