"""A process that parses hostile files: `python -m ingestion.parse.child PARENT_PID MAX_MEMORY_BYTES`.

Started by `ingestion.children`, it says when it is ready and then answers frames on standard input with frames on
standard output, one at a time, until its input ends. It cannot outlive its parent, take more memory than it may,
connect to anything, or start a program.
"""

import ctypes
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import orjson

from indexes.embedder import Tokenizer
from indexes.embedders.hashing import WordTokenizer
from indexes.embedders.tokenizer import FolderTokenizer
from indexes.errors import DocumentError
from indexes.manifest import Chunking
from ingestion.chunkers import chunker
from ingestion.parse import artefact, frames, parse
from ingestion.parse.limits import Limits
from ingestion.parse.unpack import unpack

_PR_SET_PDEATHSIG = 1
_FORBIDDEN = frozenset(
    [
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
    ]
)


def _parse(request: dict[str, Any]) -> orjson.Fragment:
    desk = None if request["desk"] is None else Path(request["desk"])
    canonical = parse(Path(request["path"]), request["filename"], Limits(**request["limits"]), desk)
    return orjson.Fragment(artefact.dumps(canonical))


def _unpack(request: dict[str, Any]) -> dict[str, object]:
    limits = Limits(**request["limits"])
    unpacked = unpack(Path(request["path"]), request["filename"], limits, Path(request["into"]))
    parts = [(part.name, part.path.name, part.sha256, part.size_bytes) for part in unpacked.parts]
    return {"parts": parts, "warnings": unpacked.warnings}


def _chunk(request: dict[str, Any]) -> list[object]:
    text, chunking = artefact.restore(request["text"]), Chunking(**request["chunking"])
    cut = chunker(request["chunker"])
    return [astuple(span) for span in cut(text, chunking, _tokenizer(request["model"]))]


@lru_cache(maxsize=4)
def _tokenizer(folder: str | None) -> Tokenizer:
    return WordTokenizer() if folder is None else FolderTokenizer(Path(folder))


# What a child can be asked for. A command takes its request and returns what orjson can write.
COMMANDS: dict[str, Callable[[dict[str, Any]], object]] = {"parse": _parse, "unpack": _unpack, "chunk": _chunk}


def answer(request: dict[str, Any]) -> dict[str, object]:
    """The reply to one request: `result`, or `error` with a code and a sentence."""
    try:
        return {"result": COMMANDS[request["command"]](request)}
    except DocumentError as error:
        return {"error": {"code": error.code, "message": error.message}}
    except MemoryError:
        return {"error": {"code": "parse_memory", "message": ""}}
    except OSError as error:
        return {"error": {"code": "unavailable", "message": str(error)}}


def main() -> None:
    """Answer requests until the parent goes."""
    parent, max_memory_bytes = map(int, sys.argv[1:])
    _confine(parent, max_memory_bytes)
    requests, replies = _private_pipes()
    frames.write(replies, {"ready": True})
    while (request := frames.read(requests)) is not None:
        frames.write(replies, answer(request))


def _confine(parent: int, max_memory_bytes: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before the call above.
        sys.exit(0)
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library has to say of one document is noise; what ends this process is not, and goes to the parent's log.
    warnings.simplefilter("ignore")
    logging.disable()
    # spaCy, which unstructured brings, takes torch if it finds it: 2 s and 180 MB that no parser needs.
    sys.modules["torch"] = None  # type: ignore[assignment]
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"a parser may not {event}")


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the parent under new numbers, so that what a library prints or reads does not touch them."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    return requests, replies


if __name__ == "__main__":
    main()
