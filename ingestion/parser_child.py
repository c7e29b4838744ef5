"""One child process that parses documents, and the frames that go to it and come back."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from indexes.errors import Unavailable
from ingestion.parse import frames
from ingestion.parse.limits import Limits

_START_S = 60.0
# What a child sees of the environment: enough to find its libraries, no secret.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_FIXED_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # The pool is the parallelism.
    "DO_NOT_TRACK": "1",
    "PYTHONSAFEPATH": "1",
}


class ChildDied(Exception):
    """A child ended in the middle of a job; by the kernel's hand if `killed`."""

    def __init__(self, *, killed: bool) -> None:
        super().__init__()
        self.killed = killed


@dataclass(slots=True, eq=False)
class Child:
    """A process that was started for one parser pool, and how many jobs it was given."""

    process: asyncio.subprocess.Process
    jobs: int = 0

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """Start one."""
        inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        packages = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "ingestion.parse.child", str(os.getpid()), str(limits.max_memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=inherited | _FIXED_ENVIRONMENT | {"PYTHONPATH": packages},
        )  # fmt: skip
        return cls(process)

    async def ready(self) -> None:
        """Wait until it takes jobs. Raises Unavailable: no document is to blame for what happens before that."""
        if self.jobs:
            return
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                await frames.receive(self.process.stdout)
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise Unavailable("A parser process ended or hung while it was started. Trying again may help.") from error

    async def ask(self, request: dict[str, object]) -> dict[str, Any]:
        """The reply to `request`. Raises ChildDied when there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs += 1
        try:
            self.process.stdin.write(frames.pack(request))
            await self.process.stdin.drain()
            return await frames.receive(self.process.stdout)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildDied(killed=await self.process.wait() == -signal.SIGKILL) from error

    async def kill(self) -> None:
        """End the child and whatever it started, at once."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()
