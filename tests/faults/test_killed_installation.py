"""Strikes at seeded random points against an installation of several processes, all but PostgreSQL.

The plain suite strikes each process once, `make faults` many times. Run with `-s` to see the seed and the counts.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.scaled_out import scaled_out
from tests.faults.strikes import withstands

FAULTS = ("api", "worker", "retrieval", "queue", "queue and its data", "parsers")


@pytest.mark.parametrize("strikes", [6, pytest.param(150, marks=pytest.mark.slow)])
def test_what_was_acknowledged_holds_across_processes(
    postgres_url: str, tmp_path: Path, service_class: Any, strikes: int
) -> None:
    with scaled_out(postgres_url, tmp_path, service_class, apis=2) as installation:
        withstands(installation, FAULTS, strikes)
