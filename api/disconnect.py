"""Stops work whose client has gone, so that what still waits makes room for others."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from indexes.errors import Abandoned

T = TypeVar("T")


async def while_wanted(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Read the body before. Raises Abandoned as soon as the client hangs up."""
    task, gone = asyncio.create_task(work), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Abandoned("The client hung up before its answer was ready.")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
