"""`citewell ask`: an answer as it is written, then the quotes that carry it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.search import SnapshotOption, VersionOption
from indexes.errors import CitewellError

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.wire.response_events import ResponseStreamEvent
    from api.wire.responses import ResponseObject


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    store: Annotated[str | None, typer.Option(help="Name or id of the store; not needed if there is one.")] = None,
    model: Annotated[str | None, typer.Option(help="The answerer; left out: the server's default.")] = None,
    prompt: Annotated[str | None, typer.Option(help="A prompt for a language model: NAME, or NAME@VERSION.")] = None,
    version: VersionOption = None,
    snapshot: SnapshotOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The response object, as one JSON line.")] = False,
) -> None:
    """Answer a question from a store: each sentence with its citations, then the quotes as file:page:offset."""
    from api.cli.client import connect
    from api.cli.output import print_json

    with connect() as client:
        store_id = client.store_or_only(store).id
        events = answer_events(client, question, store_id, model, prompt=prompt, version=version, snapshot=snapshot)
        if as_json:
            print_json([last_response(events)])
        else:
            print_answer(events)


def answer_events(
    client: "Client",
    question: str,
    store_id: str,
    model: str | None,
    *,
    prompt: str | None = None,
    version: str | None = None,
    snapshot: str | None = None,
) -> "Iterator[ResponseStreamEvent]":
    """Ask, and follow the stream to its end."""
    from pydantic import TypeAdapter

    from api.wire.response_events import ResponseStreamEvent

    event: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    tool = {
        "type": "file_search",
        "vector_store_ids": [store_id],
        "index_version": version,
        "snapshot": snapshot,
    }
    name, _, number = (prompt or "").partition("@")
    body = {
        "model": model,
        "input": question,
        "tools": [tool],
        "prompt": {"id": name, "version": number or None} if prompt else None,
        "stream": True,
        "store": False,
    }
    with client.events("/responses", body) as stream:
        for data in stream:
            yield event.validate_json(data)


def print_answer(events: "Iterator[ResponseStreamEvent]") -> None:
    """Write the answer as it arrives, then its quotes."""
    from api.cli.output import console, place
    from api.wire.citations import FileCitation
    from api.wire.response_events import AnnotationEvent, ResponseEvent, TextDeltaEvent

    quotes: dict[tuple[str, int, int], FileCitation] = {}
    response: ResponseObject | None = None
    for event in events:
        match event:
            case TextDeltaEvent(delta=delta):
                console.print(delta, end="", markup=False)
            case AnnotationEvent(annotation=note):
                quotes.setdefault((note.file_id, note.source_start, note.source_end), note)
                number = list(quotes).index((note.file_id, note.source_start, note.source_end)) + 1
                console.print(f" [{number}]", end="", markup=False, style="cyan")
            case ResponseEvent():
                response = event.response
    console.print()
    answered = _checked(response)
    for number, note in enumerate(quotes.values(), 1):
        console.print(f"[{number}] {place(note.key, note.page, note.source_start)}", markup=False, style="bold")
        console.print(f"    “{' '.join(note.quote.split())}”", markup=False)
    if answered.abstained:
        console.print(f"(not in the documents: {answered.abstain_reason})", markup=False)


def last_response(events: "Iterator[ResponseStreamEvent]") -> "ResponseObject":
    """The whole response at the end of the stream. Raises CitewellError where it failed."""
    from api.wire.response_events import ResponseEvent

    response: ResponseObject | None = None
    for event in events:
        if isinstance(event, ResponseEvent):
            response = event.response
    return _checked(response)


def _checked(response: "ResponseObject | None") -> "ResponseObject":
    if response is None or response.status == "in_progress":
        raise CitewellError("The answer broke off. Ask again.", code="broken_stream")
    if response.error is not None:
        raise CitewellError(response.error.message, code=response.error.code)
    return response
