"""What routes ask for: the state of the process, who calls, and the request's idempotency key."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Path, Request

from api.state import State
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.keys import Caller
from indexes.catalog.tables import Role
from indexes.errors import Forbidden, InvalidRequest, Unauthenticated

_RANK = {Role.READ: 0, Role.WRITE: 1, Role.ADMIN: 2}


# Dependencies are coroutines though they wait for nothing: FastAPI runs plain functions in threads, and going there and
# back would be a tenth of what a search costs.
async def _state(request: Request) -> State:
    state: State = request.app.state.citewell
    return state


StateDep = Annotated[State, Depends(_state)]


async def _stopping(request: Request) -> Callable[[], bool]:
    asked: Callable[[], bool] = getattr(request.app.state, "stopping", lambda: False)
    return asked


StoppingDep = Annotated[Callable[[], bool], Depends(_stopping)]
"""Whether the server was asked to stop: `serve` sets it, and what streams without an end of its own asks it."""


async def _caller(
    state: StateDep, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Caller:
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("No API key came with the request. Send the header `Authorization: Bearer YOUR_KEY`.")
    caller = await state.callers.of(secret.strip())
    if caller is None:
        raise Unauthenticated("This API key is unknown or revoked. Make one with `citewell keys create`.")
    return caller


def _at_least(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    async def check(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if _RANK[caller.role] < _RANK[role]:
            raise Forbidden(f"This API key may {caller.role} only; this needs one that may {role}.")
        return caller

    return check


Reader = Annotated[Caller, Depends(_at_least(Role.READ))]
Writer = Annotated[Caller, Depends(_at_least(Role.WRITE))]


async def _idempotency(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(description="The same key sent again with the same request makes nothing new.")
    ] = None,
) -> Idempotency | None:
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= 255:
        raise InvalidRequest("An Idempotency-Key has 1 to 255 characters.", param="Idempotency-Key")
    return fingerprinted(request, idempotency_key, await request.body())


def fingerprinted(request: Request, key: str, content: bytes) -> Idempotency:
    """The key with a hash of what makes the request that request."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + content).hexdigest()
    return Idempotency(key, digest)


SessionHeader = Annotated[
    str | None,
    Header(
        alias="x-session-id",
        max_length=512,
        description="Whose searches belong together: while a new index version answers a share of the queries, those "
        "of the same session are always answered by the same one.",
    ),
]
IdempotencyDep = Annotated[Idempotency | None, Depends(_idempotency)]
StoreId = Annotated[str, Path(description="Id of the vector store, `vs_…`.")]
FileId = Annotated[str, Path(description="Id of the file, `file-…`.")]
VersionId = Annotated[str, Path(description="Id of the index version, `ixv_…`.")]
SnapshotId = Annotated[str, Path(description="Id or name of the snapshot.")]
BatchId = Annotated[str, Path(description="Id of the batch, `vsfb_…`.")]
