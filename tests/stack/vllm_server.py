"""A real vLLM on this machine's CPU, as a child process.

`make stack` makes its environment and its weights; it takes a minute or two to start and answers with a model that is
too small to be right: this is about the protocol.
"""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import httpx

MODEL = "smollm2"
_FLAGS = (
    "--dtype float32 --enforce-eager --max-model-len 2048 --enable-prompt-tokens-details --host 127.0.0.1 "
    f"--served-model-name {MODEL}"
).split()
# Without the second, a small model may write blanks for ever where JSON allows them.
_STRUCTURED = ("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}')
# Two threads on a busy machine wait for each other most of the time.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
}
_START_S = 600


class VllmServer:
    """One server on a free port; `home` has its environment (`bin/python`) and its weights (`model`)."""

    def __init__(self, home: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        command = [str(home / "bin/python"), "-m", "vllm.entrypoints.openai.api_server", "--model", str(home / "model")]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--port", str(port), *_FLAGS, *_STRUCTURED],
                env={**os.environ, **_ENVIRONMENT},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def base_url(self) -> str:
        """What a client takes."""
        return f"{self.url}/v1"

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def await_ready(self) -> None:
        """Wait until it is healthy and has answered once; the first answer compiles what the later ones use."""
        asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    httpx.post(f"{self.base_url}/chat/completions", json=asked, timeout=300).raise_for_status()
                    return
            time.sleep(1)
        raise AssertionError(f"vLLM did not start:\n{self._log.read_text()[-4000:]}")

    def running(self) -> float:
        """How many answers it is generating right now."""
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:num_requests_running{"))

    def kill(self) -> None:
        """SIGKILL to the server and to its engine, as a crash of the machine would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
