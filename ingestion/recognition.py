"""Text recognition (OCR) by Tesseract, where it is installed. It runs beside the parsers, which may start no program.

What a parser lays on a desk (`parse.scan`) is a picture that it has drawn itself: no byte of a document gets here.
"""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_LIMITED = """
import ctypes, os, resource, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Dies with its parent,
if os.getppid() != int(sys.argv[1]):  # which may have died before that.
    sys.exit()
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
os.execv(sys.argv[3], sys.argv[3:])
"""
_LAYOUT = "3"  # Columns and all, but no guess at the direction of the page: parsers try both.


@dataclass(slots=True)
class Tesseract:
    """At most `at_once` pictures are read at a time, each within `max_seconds` and `max_memory_bytes`.

    `languages` are the names of Tesseract's models, joined by `+`.
    """

    command: str
    languages: str = "eng"
    at_once: int = 1
    max_seconds: float = 60.0
    max_memory_bytes: int = 1 << 30
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.at_once)

    @classmethod
    def installed(cls, languages: str = "eng", at_once: int = 1) -> Self | None:
        """The one on this process's PATH; None where there is none."""
        command = shutil.which("tesseract")
        return None if command is None else cls(command, languages, at_once)

    async def read(self, desk: Path) -> bool:
        """Put a table of words beside each picture on `desk` that has none; whether there was one.

        A picture that cannot be read gets an empty table.
        """
        pictures = await asyncio.to_thread(_unread, desk)
        await asyncio.gather(*(self._read(picture) for picture in pictures))
        return bool(pictures)

    async def _read(self, picture: Path) -> None:
        async with self._places:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.max_seconds):
                    await self._run(picture)
        if not picture.with_suffix(".tsv").exists():
            picture.with_suffix(".tsv").touch()

    async def _run(self, picture: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-ISc", _LIMITED, str(os.getpid()), str(self.max_memory_bytes),
            self.command, picture.name, picture.stem, "--psm", _LAYOUT, "-l", self.languages, "tsv",
            cwd=picture.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.defpath, "OMP_THREAD_LIMIT": "1"} | _models(),
        )  # fmt: skip
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def _unread(desk: Path) -> list[Path]:
    return [path for path in desk.glob("*.png") if not path.with_suffix(".tsv").exists()]


def _models() -> dict[str, str]:
    """Where this process was told that Tesseract's models are."""
    return {name: os.environ[name] for name in ("TESSDATA_PREFIX",) if name in os.environ}
