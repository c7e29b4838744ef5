"""A blob as a local file, for what can only read files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from indexes.blobs import Blobs, local_path


@asynccontextmanager
async def local_file(blobs: Blobs, key: str) -> AsyncIterator[Path]:
    """Where the bytes of `key` can be read until the block ends. Raises NotFound."""
    with contextlib.ExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, local_path(blobs, key))
