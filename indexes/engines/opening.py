"""The vector engine that the settings name."""

from pathlib import Path

from indexes.engines.settings import (
    EngineSettings,
    ExactEngineSettings,
    QdrantEdgeEngineSettings,
    QdrantServerEngineSettings,
)
from indexes.index import Engine


def open_engine(settings: EngineSettings, home: Path) -> Engine:
    """The engine, ready; its library is imported only here, because one of them takes a second.

    Raises SettingsError where the engine's directory is not usable or another process owns it.
    """
    match settings:
        case ExactEngineSettings():
            from indexes.engines.exact_index import ExactEngine

            return ExactEngine()
        case QdrantEdgeEngineSettings():
            from indexes.engines.qdrant_edge import QdrantEdgeEngine

            return QdrantEdgeEngine(settings, (settings.root or home / "vectors").expanduser())
        case QdrantServerEngineSettings():
            from indexes.engines.qdrant_server import QdrantServerEngine, connect

            return QdrantServerEngine(connect(settings), settings)
