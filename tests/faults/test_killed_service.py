"""Strikes at seeded random points against `citewell serve` alone: one process, its queue server and its parsers.

The plain suite strikes a few times, `make faults` hundreds of times. Run with `-s` to see the seed and the
counts.
"""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from indexes.engines.qdrant_edge import QdrantEdgeEngine
from indexes.engines.settings import QdrantEdgeEngineSettings
from indexes.index import Engine
from tests.faults.installation import Door, kill_children
from tests.faults.strikes import withstands

FAULTS = ("service", "service", "queue", "queue and its data", "parsers")


class OneProcess:
    """An installation of one service."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.home: Path = service.home
        self.doors: Sequence[Door] = [Door(service.url, service.key)]

    def strike(self, fault: str, _dice: random.Random) -> None:
        if fault == "service":
            with self.doors[0].excused():
                self.service.kill()
                self.service.start()
            return
        if fault == "queue and its data":
            shutil.rmtree(self.home / "queue", ignore_errors=True)
        kill_children(self.service.pid, "ingestion.parse.child" if fault == "parsers" else "valkey")

    def rows(self, query: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.home / "catalog.db")) as catalog:
            return catalog.execute(query).fetchall()

    @contextlib.contextmanager
    def engine(self) -> Iterator[Engine]:
        assert self.service.stop() == 0
        with contextlib.closing(QdrantEdgeEngine(QdrantEdgeEngineSettings(), self.home / "vectors")) as engine:
            yield engine


@pytest.mark.parametrize("strikes", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_what_was_acknowledged_holds(make_service: Any, strikes: int) -> None:
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256", CITEWELL_WORKER__LEASE_S="2")
    withstands(OneProcess(service), FAULTS, strikes)
