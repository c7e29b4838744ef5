"""What a pool and its children say to each other: one JSON object a frame, with its length in four bytes before it."""

import asyncio
import struct
from typing import IO, Any

import orjson

_LENGTH = struct.Struct(">I")


def write(file: IO[bytes], message: object) -> None:
    """Send one frame. Raises BrokenPipeError when nobody listens any more."""
    file.write(pack(message))
    file.flush()


def read(file: IO[bytes]) -> dict[str, Any] | None:
    """The next frame; None at the end."""
    length = file.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    message: dict[str, Any] = orjson.loads(file.read(*_LENGTH.unpack(length)))
    return message


def pack(message: object) -> bytes:
    """One frame as bytes."""
    data = orjson.dumps(message)
    return _LENGTH.pack(len(data)) + data


async def receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next frame. Raises asyncio.IncompleteReadError when the other side ends first."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    data = await reader.readexactly(length)
    message: dict[str, Any] = await asyncio.to_thread(orjson.loads, data)
    return message
