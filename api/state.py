"""Everything with a lifetime: built once when a process starts, passed to whoever needs it, closed in reverse order."""

import logging
from dataclasses import dataclass
from pathlib import Path

from generation.answering import Answering
from indexes.embedders.models import Models

from api.limits import Capacity
from api.settings import Settings
from indexes.blobs import Blobs
from indexes.catalog.database import Database
from indexes.index import Engine
from ingestion.erase import Eraser
from ingestion.intake import Intake
from ingestion.queue import Queue
from retrieval.search import Searcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What requests are served with."""

    settings: Settings
    database: Database
    blobs: Blobs
    engine: Engine
    models: Models
    queue: Queue
    intake: Intake
    searcher: Searcher
    answering: Answering
    capacity: Capacity
    incoming: Path


@dataclass(frozen=True, slots=True)
class _Core:
    """What both the api and the worker stand on."""

    database: Database
    blobs: Blobs
    engine: Engine
    models: Models
    queue: Queue
    eraser: Eraser
    intake: Intake
