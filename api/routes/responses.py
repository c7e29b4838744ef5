"""`/v1/responses`: cited answers, streamed or not, kept and continued."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from api import asking, conversation
from api.asking import Record
from api.deps import IdempotencyDep, Reader, StateDep, Writer
from api.disconnect import while_wanted
from api.prompting import PromptRef
from api.repeated import stored_stream
from api.response_draft import AskEvents, ResponseDraft
from api.sse import STREAMED, EventStream, encode_event, gather, primed, response_events
from api.state import State
from api.wire.pages import Page
from api.wire.response_input import messages_of
from api.wire.responses import InputItemMessage, ResponseCreate, ResponseDeleted, ResponseObject
from indexes.catalog import idempotency, responses
from indexes.catalog.idempotency import Idempotency
from indexes.errors import Conflict
from indexes.ids import Kind, new_id

router = APIRouter(prefix="/v1/responses", tags=["answers"])
ResponseId = Annotated[str, Path(description="Id of the response, `resp_…`.")]


@router.post("", response_model=ResponseObject, responses=STREAMED)
async def create_response(
    state: StateDep, caller: Reader, request: ResponseCreate, again: IdempotencyDep, http: Request
) -> EventStream | JSONResponse | ResponseObject:
    """Answer a question from documents, with evidence; or say that they do not answer it."""
    async with state.database.read() as session:
        known = await idempotency.earlier(session, caller.project, again)
        if known is not None:
            body = (await responses.get(session, caller.project, known)).body
            return EventStream(stored_stream(body)) if request.stream else JSONResponse(body)
    prompt = PromptRef(request.prompt.id, request.prompt.version) if request.prompt else None
    where = await asking.target(state, caller.project, request, prompt)
    turns, sources = await conversation.earlier(state, caller.project, request.previous_response_id)
    question, record = request.to_question(turns), Record(caller.project, earlier=frozenset(sources))
    draft = ResponseDraft(
        id=new_id(Kind.RESPONSE),
        search_id=new_id(Kind.SEARCH_CALL),
        message_id=new_id(Kind.MESSAGE),
        created_at=int(time.time()),
        model=request.model or where.answerer,
        request=request,
        trace_id=record.id,
    )
    events = asking.ask(state, where, question, record)
    if request.stream:
        return EventStream(_stream(state, draft, await primed(events), record, again))
    searched, answer = await while_wanted(http, gather(events))
    response = draft.finished(searched, answer, completed_at=int(time.time()))
    await _keep(state, response, request, record, again)
    return response


@router.get("/{response_id}", response_model=ResponseObject)
async def get_response(state: StateDep, caller: Reader, response_id: ResponseId) -> JSONResponse:
    """A stored response, as it was answered; text of documents deleted since is gone from it."""
    async with state.database.read() as session:
        return JSONResponse((await responses.get(session, caller.project, response_id)).body)


@router.delete("/{response_id}")
async def delete_response(state: StateDep, caller: Writer, response_id: ResponseId) -> ResponseDeleted:
    """Forget a stored response."""
    async with state.database.write() as session:
        await responses.get(session, caller.project, response_id)
        await responses.remove(session, response_id)
    return ResponseDeleted(id=response_id)


@router.post("/{response_id}/cancel", response_model=ResponseObject)
async def cancel_response(state: StateDep, caller: Reader, response_id: ResponseId) -> JSONResponse:
    """Only background responses can be cancelled, and there are none: close the stream of a running one."""
    async with state.database.read() as session:
        row = await responses.get(session, caller.project, response_id)
    raise Conflict(
        f"This response is {row.body['status']}. To stop one that is being answered, close its stream.",
        code="not_cancellable",
    )


@router.get("/{response_id}/input_items")
async def list_input_items(state: StateDep, caller: Reader, response_id: ResponseId) -> Page[InputItemMessage]:
    """What a stored response was asked with."""
    async with state.database.read() as session:
        row = await responses.get(session, caller.project, response_id)
    return Page.of([InputItemMessage.model_validate(item) for item in row.input], has_more=False)


async def _stream(
    state: State, draft: ResponseDraft, events: AskEvents, record: Record, again: Idempotency | None
) -> AsyncGenerator[bytes, None]:
    async def keep(response: ResponseObject) -> None:
        await _keep(state, response, draft.request, record, again)

    async with aclosing(response_events(draft, events, keep)) as steps:
        async for step in steps:
            yield encode_event(step)


async def _keep(
    state: State, response: ResponseObject, request: ResponseCreate, record: Record, again: Idempotency | None
) -> None:
    if not request.store:
        return
    async with state.database.write() as session:
        body = response.model_dump(mode="json")
        await responses.store(session, record.project, body, _input_items(request), record.sources)
        idempotency.remember(session, record.project, again, response.id)


def _input_items(request: ResponseCreate) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(Kind.MESSAGE),
            "type": "message",
            "role": message.role,
            "status": "completed",
            "content": [{"type": "input_text", "text": message.text}],
        }
        for message in messages_of(request.input)
    ]
