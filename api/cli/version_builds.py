"""`citewell versions plan | build | pause | resume | cancel | delete`: what becomes of a build."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.stores import AsJson, StoreName
from indexes.errors import CitewellError, NotFound

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.wire.index_versions import IndexVersion

VersionId = Annotated[str, typer.Argument(metavar="VERSION", help="Id of an index version, `ixv_…`.")]
CandidateId = Annotated[
    str | None,
    typer.Argument(metavar="[VERSION]", help="Id of an index version; left out: the newest building, failed or ready."),
]
Why = Annotated[str | None, typer.Option(help="Why; kept in the history.")]
_Model = Annotated[str | None, typer.Option(help="Embedding model; left out, as everything: that of the live version.")]
_MaxTokens = Annotated[int | None, typer.Option(min=100, max=4096, help="The most tokens of a chunk.")]
_Overlap = Annotated[int | None, typer.Option(min=0, help="Tokens that chunks share; an eighth of --max-tokens.")]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Of lexical: language, analysis, k, b (BM25). Of ann: m, ef_construct (HNSW). And context. Repeatable.",
    ),
]
_POLL_S = 0.5


def plan(
    store: StoreName,
    model: _Model = None,
    max_tokens: _MaxTokens = None,
    overlap: _Overlap = None,
    settings: _Set = None,
    as_json: AsJson = False,
) -> None:
    """Say what a build would do, take and cost. Nothing is begun."""
    from api.cli.client import connect
    from api.cli.output import duration, print_json, print_table
    from api.wire.index_versions import IndexVersionPlan

    body = {"embedding_model": model, "chunking_strategy": _chunking(max_tokens, overlap), **_parts(settings or ())}
    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}/index_versions"
        found = client.post(path, IndexVersionPlan, {**body, "dry_run": True})
    if as_json:
        print_json([found])
        return
    about = "about " if found.estimated else ""
    print_table(
        ["", ""],
        [
            ["documents", f"{found.files:,}"],
            ["chunks", f"{about}{found.chunks:,}: {found.embedded:,} to embed, {found.reused:,} there already"],
            ["tokens to embed", f"{about}{found.tokens:,}"],
            ["size", f"about {found.bytes / 1e6:,.1f} MB"],
            ["time", f"about {duration(found.eta_s)} of one worker"],
            ["cost", f"{found.cost:,.2f}"],
        ],
    )


def build(
    store: StoreName,
    model: _Model = None,
    max_tokens: _MaxTokens = None,
    overlap: _Overlap = None,
    settings: _Set = None,
    reason: Why = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the build until it is ready or failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build another version beside the live one. Nothing changes for readers until it is promoted.

    Exit code 0: begun, or ready; 1: refused, or failed; 2: wrong usage; 3: the server cannot be reached.
    """
    from api.cli.client import connect
    from api.wire.index_versions import IndexVersion

    body = {"embedding_model": model, "chunking_strategy": _chunking(max_tokens, overlap), **_parts(settings or ())}
    with connect() as client:
        path = f"/vector_stores/{client.store(store).id}/index_versions"
        version = client.post(path, IndexVersion, {**body, "reason": reason})
        if wait:
            version = _followed(client, f"{path}/{version.id}", version)
    _said(version, as_json=as_json)
    if version.status == "failed":
        raise CitewellError(version.error.message if version.error else "The build failed.", code="build_failed")
    if version.status == "deleted":
        raise CitewellError("The build was cancelled.", code="build_cancelled")


def pause(store: StoreName, version: CandidateId = None, reason: Why = None, as_json: AsJson = False) -> None:
    """Stop working on a build until it is resumed."""
    _act(store, version, "pause", reason, as_json=as_json)


def resume(store: StoreName, version: CandidateId = None, reason: Why = None, as_json: AsJson = False) -> None:
    """Go on with a build that was paused, or try a failed one again."""
    _act(store, version, "resume", reason, as_json=as_json)


def cancel(store: StoreName, version: CandidateId = None, reason: Why = None, as_json: AsJson = False) -> None:
    """Give a build up."""
    _act(store, version, "cancel", reason, as_json=as_json)


def delete(
    store: StoreName,
    version: VersionId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a version up that is not live; there is no way back to it."""
    from api.cli.client import connect
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        path = path_of(client, store, version)
        if not yes:
            typer.confirm(f"Delete the index version {version}?", abort=True)
        _said(client.delete(path, IndexVersion), as_json=as_json)


def path_of(client: "Client", store: str, version: str | None) -> str:
    """The path of a version: of the one named, or of the newest that is being built, failed or ready.

    Raises NotFound where there is no such one.
    """
    from api.wire.index_versions import IndexVersion

    path = f"/vector_stores/{client.store(store).id}/index_versions"
    if version is not None:
        return f"{path}/{version}"
    for one in client.pages(path, IndexVersion):
        if one.status in ("building", "ready", "failed"):
            return f"{path}/{one.id}"
    raise NotFound("The store has no version beside the live one. `citewell versions build` makes one.")


def _act(store: str, version: str | None, what: str, reason: str | None, *, as_json: bool) -> None:
    from api.cli.client import connect
    from api.wire.index_versions import IndexVersion

    with connect() as client:
        path = path_of(client, store, version)
        _said(client.post(f"{path}/{what}", IndexVersion, {"reason": reason}), as_json=as_json)


def _followed(client: "Client", path: str, version: "IndexVersion") -> "IndexVersion":
    from api.cli.progress import shown_build
    from api.wire.index_versions import IndexVersion

    def states() -> Iterator[IndexVersion]:
        yield version
        while True:
            time.sleep(_POLL_S)
            yield client.get(path, IndexVersion)

    with shown_build() as bar:
        for state in states():
            if state.status != "building":
                return state
            bar.building(state.progress.done, state.progress.total, state.progress.eta_s, paused=state.paused)
    raise AssertionError("the states have no end")


def _said(version: "IndexVersion", *, as_json: bool) -> None:
    from api.cli.output import print_json

    if as_json:
        print_json([version])
        return
    state = "paused" if version.paused and version.status == "building" else version.status
    sys.stdout.write(f"{version.id} is {state}.\n")


def _chunking(max_tokens: int | None, overlap: int | None) -> dict[str, Any] | None:
    if max_tokens is None:
        if overlap is not None:
            raise typer.BadParameter("--overlap needs --max-tokens.")
        return None
    shared = max_tokens // 8 if overlap is None else overlap
    return {"type": "static", "static": {"max_chunk_size_tokens": max_tokens, "chunk_overlap_tokens": shared}}


def _parts(settings: Sequence[str]) -> dict[str, Any]:
    """`ann.m=32` as the part `ann` of the request. Which names there are, the server says."""
    parts: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        part, dot, field = name.partition(".")
        if not equals:
            raise typer.BadParameter(f"--set {setting}: write it as ann.m=32.")
        if dot:
            parts.setdefault(part, {})[field] = _value(value)
        else:
            parts[name] = _value(value)
    return parts


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
