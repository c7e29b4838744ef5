"""`/healthz`, `/readyz`: for load balancers and operators. No key is needed."""

from fastapi import APIRouter, Request, Response

from api.state import State

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": dict[str, str], "description": "A part does not answer."}})
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """Whether every part this process needs answers; 503 names the ones that do not."""
    state: State = request.app.state.citewell
    parts = await state.health()
    if any(word != "ok" for word in parts.values()):
        response.status_code = 503
    return parts
