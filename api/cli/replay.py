"""`citewell replay`: a stored answer made again, as it was or otherwise, and the difference."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from api.cli.stores import AsJson

if TYPE_CHECKING:
    from api.wire.citations import FileCitation
    from api.wire.replays import ReplaySide, ResponseReplay


def replay(
    response: Annotated[str, typer.Argument(metavar="ID", help="Id of a stored response, `resp_…`.")],
    prompt: Annotated[str | None, typer.Option(help="Another prompt: NAME, or NAME@VERSION.")] = None,
    model: Annotated[str | None, typer.Option(help="Another answerer.")] = None,
    index_version: Annotated[str | None, typer.Option(help="Another index version of the store, `ixv_…`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a stored question again by what its trace pins, and show what comes out differently."""
    from api.cli.client import connect
    from api.cli.output import print_json
    from api.wire.replays import ResponseReplay

    with connect() as client:
        body = {"prompt": prompt, "model": model, "index_version": index_version}
        found = client.post(f"/responses/{quote(response, safe='')}/replay", ResponseReplay, body)
    if as_json:
        print_json([found])
    else:
        _print(found)


def _print(found: "ResponseReplay") -> None:
    from api.cli.output import console, print_table

    before, after = _column(found.original), _column(found.replayed)
    print_table(["", "original", "replayed"], ([name, before[name], after[name]] for name in before))
    for note in found.notes:
        console.print(note, markup=False)
    if found.same:
        console.print("Text and citations are the same.")
    if found.diff:
        console.print(found.diff, markup=False)
    if found.citations:
        for sign, citations in (("+", found.citations.gained), ("-", found.citations.lost)):
            for one in citations:
                console.print(f"{sign} {_place(one)}", markup=False)


def _column(side: "ReplaySide") -> dict[str, object]:
    return {
        "model": side.model,
        "prompt": side.prompt_version,
        "index": ", ".join(side.index_versions),
        "abstained": side.abstain_reason if side.abstained else "no",
        "confidence": None if side.confidence is None else f"{side.confidence:.2f}",
        "sentences": ", ".join(f"{count} {verdict}" for verdict, count in side.verdicts.items()),
        "citations": side.citations,
        "tokens": f"{side.input_tokens} read, {side.output_tokens} written",
        "time": f"{side.retrieve_ms:.0f} ms to search, {side.answer_ms:.0f} ms to answer",
    }


def _place(citation: "FileCitation") -> str:
    from api.cli.output import place

    return f"{place(citation.key, citation.page, citation.source_start)} {' '.join(citation.quote.split())}"
