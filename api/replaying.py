"""A stored answer made again by what its trace pins, but for what somebody wants otherwise (I11)."""

import time
from dataclasses import dataclass
from typing import Any

from api import asking, conversation
from api.asking import Record, Target
from api.prompting import PromptRef
from api.replay_difference import Made, compared
from api.response_draft import ResponseDraft
from api.sse import gather
from api.state import State
from api.wire.file_search import FileSearchTool
from api.wire.replays import ResponseReplay
from api.wire.responses import ResponseCreate, ResponseObject
from indexes.catalog import responses, versions
from indexes.catalog.answer_tables import StoredResponse
from indexes.errors import InvalidRequest, NotFound

_REPEATED = (ResponseCreate.model_fields.keys() & ResponseObject.model_fields.keys()) - {"model", "tools", "prompt"}


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What shall not be as it was."""

    prompt: PromptRef | None = None
    model: str | None = None
    index_version: str | None = None


async def replay(state: State, project: str, response_id: str, otherwise: Otherwise) -> ResponseReplay:
    """Ask again, and compare. Raises NotFound, and whatever a new answer can raise.

    The text of the original is read after the new answer is made, so that what is deleted meanwhile is in neither (I4).
    """
    async with state.database.read() as session:
        row = await responses.get(session, project, response_id)
        trace = await responses.traced(session, project, row.body["trace_id"])
    version, notes = await _index_version(state, trace, otherwise.index_version)
    request = _request(row, trace, otherwise, version)
    prompt = otherwise.prompt or _pinned_prompt(state, trace, request)
    where = await asking.target(state, project, request, prompt)
    record = Record(project, replay_of=response_id)
    replayed = await _answered(state, where, request, record)
    async with state.database.read() as session:
        row = await responses.get(session, project, response_id)
        made_again = await responses.traced(session, project, record.id)
        states = await responses.states(session, _revisions(trace))
    original = Made(ResponseObject.model_validate(row.body), trace, removed=row.redacted_at is not None)
    return compared(original, Made(replayed, made_again), states, notes)


async def _answered(state: State, where: Target, request: ResponseCreate, record: Record) -> ResponseObject:
    turns, sources = await conversation.earlier(state, record.project, request.previous_response_id)
    record.earlier = frozenset(sources)
    draft = ResponseDraft(
        id="replay",
        search_id="replay",
        message_id="replay",
        created_at=int(time.time()),
        model=where.answerer,
        request=request,
        trace_id=record.id,
    )
    searched, answer = await gather(asking.ask(state, where, request.to_question(turns), record))
    return draft.finished(searched, answer, completed_at=int(time.time()))


def _request(row: StoredResponse, trace: dict[str, Any], otherwise: Otherwise, version: str | None) -> ResponseCreate:
    """What was asked, of the same stores by their ids: a name may have gone to another store."""
    tool = {**(row.body["tools"] or [{"type": "file_search"}])[0], "vector_store_ids": trace["store_ids"]}
    repeated = {name: row.body[name] for name in _REPEATED if name in row.body}
    return ResponseCreate.model_validate(
        {
            **repeated,
            "input": row.input,
            "model": otherwise.model or trace["answerer"],
            "tools": [FileSearchTool.model_validate({**tool, "index_version": version})],
        }
    )


async def _index_version(state: State, trace: dict[str, Any], wanted: str | None) -> tuple[str | None, list[str]]:
    """The version to search, and what to say where it is not the one that was searched.

    Answers from several stores have one for each: those are made again from the live ones.
    """
    store_ids, found = trace["store_ids"], trace["index_versions"]
    if wanted is not None and len(store_ids) > 1:
        raise InvalidRequest(
            "This answer was made from several stores, and an index version is of one: leave it out.",
            param="index_version",
        )
    if wanted is not None or not found:
        return wanted, []
    if len(store_ids) > 1:
        return None, ["It was made from several stores: the live index version of each is searched."]
    try:
        async with state.database.read() as session:
            row = await versions.get(session, store_ids[0], found[0])
    except NotFound:
        row = None
    if row is not None and row.state in versions.SEARCHABLE:
        return row.id, []
    return None, [f"The index version {found[0]} that it was made from is gone: the live one is searched."]


def _pinned_prompt(state: State, trace: dict[str, Any], request: ResponseCreate) -> PromptRef | None:
    """The version that made the answer, if who answers now uses one."""
    pinned = trace["prompt_version"]
    return PromptRef.parse(pinned) if pinned and state.answering.is_prompted(request.model or "") else None


def _revisions(trace: dict[str, Any]) -> set[str]:
    return {hit["revision_id"] for hit in trace["hits"]}
