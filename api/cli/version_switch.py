"""`citewell versions compare | traffic | promote | rollback`: from a candidate to the version that answers."""

import sys
from typing import Annotated

import typer

from api.cli.stores import AsJson, StoreName
from api.cli.version_builds import CandidateId, Why, path_of

_Share = typer.Option(min=0.0, max=1.0, help="Share of live queries, 0 to 1, that it runs too, after the answer.")
_Canary = typer.Option(min=0.0, max=1.0, help="Share of live queries, 0 to 1, that it answers.")


def compare(
    store: StoreName,
    version: CandidateId = None,
    baseline: Annotated[str | None, typer.Option(help="The version to judge by; left out: the live one.")] = None,
    golden: Annotated[str | None, typer.Option(help="A golden set; left out: the one uploaded last.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The most queries to show of each kind.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Put the same questions to two versions: the figures, and what got better and worse.

    Exit code 0: the quality gate lets it pass; 1: it does not; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.cli.reports import print_report
    from api.wire.comparisons import VersionComparison

    with connect() as client:
        path, _, candidate = path_of(client, store, version).rpartition("/")
        body = {"candidate": candidate, "baseline": baseline, "golden_set": golden}
        report = client.post(f"{path.removesuffix('/index_versions')}/compare", VersionComparison, body)
    if as_json:
        print_json([report])
    else:
        print_report(report, limit)
    if report.verdict != "passed":
        raise typer.Exit(1)


def traffic(
    store: StoreName,
    version: CandidateId = None,
    shadow: Annotated[float | None, _Share] = None,
    canary: Annotated[float | None, _Canary] = None,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Let a ready version run beside a share of the live queries, or answer a share of them."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        body = {"shadow_share": shadow, "canary_share": canary, "reason": reason}
        found = client.post(path_of(client, store, version), IndexVersion, body)
    if as_json:
        print_json([found])
        return
    sys.stdout.write(
        f"{found.id} runs beside {found.shadow_share:.0%} of the live queries, and answers {found.canary_share:.0%}.\n"
    )


def promote(
    store: StoreName,
    version: CandidateId = None,
    force: Annotated[bool, typer.Option("--force", help="Against the quality gate; needs --reason.")] = False,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the one that answers, if the quality gate lets it; the one before stays, to go back to.

    Exit code 0: it is live; 1: it is refused, and the report says why; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import RefusedByServer, connect
    from api.cli.output import print_json
    from api.cli.reports import print_report
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        path = path_of(client, store, version)
        try:
            live = client.post(f"{path}/promote", IndexVersion, {"force": force, "reason": reason})
        except RefusedByServer as refusal:
            if refusal.report is None:
                raise
            if as_json:
                print_json([refusal.report])
            else:
                print_report(refusal.report, limit=10)
                sys.stderr.write("It is not promoted. Use --force with a --reason if you know better.\n")
            raise typer.Exit(1) from refusal
    if as_json:
        print_json([live])
    else:
        sys.stdout.write(f"{live.id} is live.\n")


def rollback(store: StoreName, reason: Why = None, as_json: AsJson = False) -> None:
    """Make the version live that was so before. Nothing that was written since is lost."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        live = client.post(f"/vector_stores/{client.store(store).id}/rollback", IndexVersion, {"reason": reason})
    if as_json:
        print_json([live])
    else:
        sys.stdout.write(f"{live.id} is live.\n")
