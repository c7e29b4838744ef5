"""`/v1/chat/completions`: cited answers for every program that speaks this older API."""

import time

from fastapi import APIRouter, Request

from api import asking
from api.asking import Record
from api.chat_draft import ChatDraft
from api.deps import Reader, StateDep
from api.disconnect import while_wanted
from api.sse import STREAMED, EventStream, chat_chunks, gather, primed
from api.wire.chat import ChatCompletion, ChatCreate
from indexes.ids import Kind, new_id

router = APIRouter(prefix="/v1/chat/completions", tags=["answers"])


@router.post("", response_model=ChatCompletion, responses=STREAMED)
async def create_chat_completion(
    state: StateDep, caller: Reader, request: ChatCreate, http: Request
) -> EventStream | ChatCompletion:
    """Answer the last message from documents, with evidence; or say that they do not answer it."""
    where = await asking.target(state, caller.project, request)
    question, record = request.to_question(), Record(caller.project)
    draft = ChatDraft(
        id=new_id(Kind.COMPLETION),
        created=int(time.time()),
        model=request.model or where.answerer,
        trace_id=record.id,
    )
    events = asking.ask(state, where, question, record)
    if request.stream:
        return EventStream(chat_chunks(draft, await primed(events), usage=request.includes_usage))
    _, answer = await while_wanted(http, gather(events))
    return draft.whole(answer)
