"""The versions of another engine, with a FAISS index beside each that is used."""

import threading
from pathlib import Path

from indexes.engines.device_memory import DeviceMemory
from indexes.engines.faiss_files import FaissFiles
from indexes.engines.faiss_index import FaissIndex
from indexes.engines.faiss_upkeep import FaissUpkeep
from indexes.engines.faiss_version import FaissVersion
from indexes.engines.gpu_device import Device
from indexes.engines.settings import FaissEngineSettings
from indexes.index import Engine, Index
from indexes.manifest import Manifest
from indexes.room import MEBIBYTE


class FaissEngine:
    """Must be the only writer of what it wraps: other processes share it through `citewell retrieval`."""

    def __init__(self, settings: FaissEngineSettings, inner: Engine, root: Path, device: Device | None = None) -> None:
        self._settings = settings
        self._inner = inner
        self._files = FaissFiles(root)
        memory = DeviceMemory(device, settings.device_memory_mb * MEBIBYTE) if device else None
        self._upkeep = FaissUpkeep(settings.open_versions, settings.merge_threads, memory)
        self._lock = threading.Lock()
        self._indexes: dict[str, FaissIndex] = {}

    def create(self, version_id: str, manifest: Manifest) -> FaissIndex:
        return self._index(version_id, manifest, self._inner.create(version_id, manifest))

    def open(self, version_id: str, manifest: Manifest) -> FaissIndex:
        return self._index(version_id, manifest, self._inner.open(version_id, manifest))

    def drop(self, version_id: str) -> None:
        self._inner.drop(version_id)
        with self._lock:
            index = self._indexes.pop(version_id, None)
        if index is None:
            self._files.remove(version_id)
        else:
            index.version.drop()

    def close(self) -> None:
        self._upkeep.close()
        self._inner.close()
        self._files.close()

    def _index(self, version_id: str, manifest: Manifest, inner: Index) -> FaissIndex:
        with self._lock:
            old = self._indexes.get(version_id)
            if old and old.version.inner is inner:
                return old
            version = FaissVersion(version_id, manifest, inner, self._files, self._settings.merge_after)
            index = self._indexes[version_id] = FaissIndex(version, manifest, self._upkeep)
        if old:  # another process dropped it and made it anew
            old.version.retire()
        return index
