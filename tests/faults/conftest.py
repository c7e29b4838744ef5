"""What the tests of parser children share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def offspring() -> Callable[[], list[int]]:
    """Lists the process ids of this process's parser children that are alive."""
    return _offspring


def _offspring() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z" and b"ingestion.parse.child" in command:
            found.append(int(stat.parent.name))
    return found
