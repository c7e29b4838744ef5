"""`citewell keys`: API keys, made and revoked in the catalog itself; no server needs to run."""

import asyncio
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="API keys. These commands change the catalog directly.", no_args_is_help=True)


class RoleName(StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    project: Annotated[str, typer.Option(help="Whose data it sees.")] = "default",
    role: Annotated[RoleName, typer.Option(help="What it may do; each includes the ones before.")] = RoleName.WRITE,
) -> None:
    """Make a key and print it. It cannot be shown again."""
    from api.main import create_key
    from api.settings import load
    from indexes.catalog.tables import Role

    row, secret = asyncio.run(create_key(load().settings, name, project, Role(role.value)))
    sys.stderr.write(f"{row.id}: keep the key now, it is not shown again.\n")
    sys.stdout.write(f"{secret}\n")


@app.command("list")
def list_keys(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List all keys, revoked ones too."""
    from api import main
    from api.cli.output import print_table, when
    from api.settings import load

    columns = ["id", "name", "project", "role", "created", "revoked"]
    rows = [
        [row.id, row.name, row.project, row.role.value, when(row.created_at), when(row.revoked_at)]
        for row in asyncio.run(main.list_keys(load().settings))
    ]
    if as_json:
        sys.stdout.writelines(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    else:
        print_table(columns, rows)


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The id of the key, `key_…`.")]) -> None:
    """Make a key useless from now on."""
    from api.main import revoke_key
    from api.settings import load

    asyncio.run(revoke_key(load().settings, key_id))
    sys.stdout.write(f"{key_id} is revoked.\n")
