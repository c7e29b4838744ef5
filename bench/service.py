"""`citewell serve` as a process of its own, on a home directory of the bench."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_S = 180.0
_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers."""

    url: str
    key: str
    pid: int


@contextlib.contextmanager
def serving(home: Path, settings: Mapping[str, str] | None = None, module: str = "api.cli.main") -> Iterator[Service]:
    """A service on `home` for the length of the block, by default settings but for these environment variables.

    Its log is `serve.log` there. `module` runs as `citewell` does.
    """
    home.mkdir(parents=True, exist_ok=True)
    config, log = home / "citewell.toml", home / "serve.log"
    config.touch()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
    environment |= {"CITEWELL_HOME": str(home), "CITEWELL_CONFIG": str(config), **(settings or {})}
    command = [sys.executable, "-m", module, "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(f"{url}/readyz", process, log)
        yield Service(url, (home / "admin.key").read_text("utf-8").strip(), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the process answers there with 200. Raises RuntimeError with the end of its log if it never does."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{log.read_text('utf-8', errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
