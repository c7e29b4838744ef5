"""The vector engine that the settings name."""

from pathlib import Path

from indexes.engines.settings import (
    EngineSettings,
    ExactEngineSettings,
    FaissEngineSettings,
    QdrantEdgeEngineSettings,
    QdrantServerEngineSettings,
    RemoteEngineSettings,
)
from indexes.errors import SettingsError
from indexes.index import Engine
from indexes.remote import secret


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
        case RemoteEngineSettings():
            from indexes.engines.remote_index import RemoteEngine
            from indexes.remote.endpoint import Endpoint

            known = secret.shared_secret(settings.secret, settings.secret_file or home / secret.FILE)
            return RemoteEngine(Endpoint(settings.url, known, settings.timeout_s))
        case FaissEngineSettings():
            return _faiss(settings, home)


def _faiss(settings: FaissEngineSettings, home: Path) -> Engine:
    try:
        from indexes.engines.faiss_engine import FaissEngine
        from indexes.engines.faiss_gpu import cuda_device
    except ImportError as error:
        raise SettingsError(
            "`kind = faiss` needs FAISS: install `citewell[faiss]`, or `citewell[gpu]` on a machine with CUDA."
        ) from error
    device = None if settings.device == "cpu" else cuda_device(required=settings.device == "cuda")
    root = (settings.root or home / "faiss").expanduser()
    return FaissEngine(settings, open_engine(settings.inner, home), root, device)
