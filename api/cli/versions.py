"""`citewell versions`: another embedding model, chunking or index for a store, beside the one that answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import version_builds, version_switch
from api.cli.stores import AsJson, StoreName
from api.cli.version_builds import CandidateId

if TYPE_CHECKING:
    from api.wire.index_versions import IndexVersion

app = typer.Typer(help="Index versions: build beside the live one, compare, promote, roll back.", no_args_is_help=True)


@app.command("list")
def list_versions(
    store: StoreName,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were given up too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the index versions of a store, the newest first."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}/index_versions"
        found = [one for one in client.pages(path, IndexVersion) if deleted or one.status != "deleted"]
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command("show")
def show(store: StoreName, version: CandidateId = None, as_json: AsJson = False) -> None:
    """Show one version: what it was built by, what it holds, how far it is."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        found = client.get(version_builds.path_of(client, store, version), IndexVersion)
    if as_json:
        print_json([found])
        return
    _print([found])
    print_table(["manifest", ""], [[name, value] for name, value in _flat(found.manifest)])
    print_table(["", ""], [["manifest hash", found.manifest_hash], ["inventory hash", found.inventory_hash]])


@app.command("history")
def history(store: StoreName, as_json: AsJson = False) -> None:
    """Say who did what to which version, when and why, the newest first."""
    from api.cli.client import connect
    from api.cli.output import print_json, print_table, when
    from api.wire.index_versions import VersionEvent

    with connect() as client:
        events = list(client.pages(f"/vector_stores/{client.store(store).id}/history", VersionEvent))
    if as_json:
        print_json(events)
        return
    print_table(
        ["when", "what", "version", "who", "why", "comparison"],
        (
            [
                when(one.created_at),
                f"{one.kind} by force" if one.forced else one.kind,
                one.index_version,
                one.actor,
                one.reason,
                one.comparison_id,
            ]
            for one in events
        ),
    )


def _print(versions: "list[IndexVersion]") -> None:
    from api.cli.output import print_table

    print_table(
        ["id", "status", "model", "chunks of", "documents", "chunks", "traffic", "error"],
        (
            [
                one.id,
                "paused" if one.paused and one.status == "building" else one.status,
                one.manifest["embedding"]["name"],
                f"{one.manifest['chunking']['max_tokens']} tokens",
                f"{one.progress.done}/{one.progress.total}",
                one.counts.chunks,
                _traffic(one),
                one.error and one.error.message,
            ]
            for one in versions
        ),
    )


def _traffic(version: "IndexVersion") -> str:
    shares = {"shadow": version.shadow_share, "canary": version.canary_share}
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)


def _flat(manifest: dict[str, object]) -> list[tuple[str, object]]:
    """The leaves, each under its path."""
    rows: list[tuple[str, object]] = []
    for name, value in manifest.items():
        inner = _flat(value) if isinstance(value, dict) else [("", value)]
        rows += [(f"{name}.{leaf}" if leaf else name, shown) for leaf, shown in inner]
    return rows


app.command("plan")(version_builds.plan)
app.command("build")(version_builds.build)
app.command("pause")(version_builds.pause)
app.command("resume")(version_builds.resume)
app.command("cancel")(version_builds.cancel)
app.command("compare")(version_switch.compare)
app.command("traffic")(version_switch.traffic)
app.command("promote")(version_switch.promote)
app.command("rollback")(version_switch.rollback)
app.command("delete")(version_builds.delete)
