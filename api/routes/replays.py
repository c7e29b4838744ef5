"""`/v1/responses/{id}/replay`: a stored answer made again, and the difference."""

from fastapi import APIRouter

from api import replaying
from api.deps import Reader, StateDep
from api.prompting import PromptRef
from api.replaying import Otherwise
from api.routes.responses import ResponseId
from api.wire.replays import ReplayRequest, ResponseReplay

router = APIRouter(prefix="/v1/responses/{response_id}", tags=["answers"])
_AS_IT_WAS = ReplayRequest()


@router.post("/replay")
async def replay_response(
    state: StateDep, caller: Reader, response_id: ResponseId, request: ReplayRequest = _AS_IT_WAS
) -> ResponseReplay:
    """Answer a stored question again by what its trace pins, or with another prompt, model or index version.

    Nothing is stored but the trace of the replay. Documents that were deleted since are in neither answer; the reply
    says how many they are.
    """
    prompt = PromptRef.parse(request.prompt) if request.prompt else None
    otherwise = Otherwise(prompt, request.model, request.index_version)
    return await replaying.replay(state, caller.project, response_id, otherwise)
