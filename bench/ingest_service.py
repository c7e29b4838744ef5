"""A real service that the ingestion benches fill, as `citewell ingest` fills it."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.cli.client import Client
from api.cli.ingestion import Ingestion, Outcome, Source
from api.cli.progress import shown_progress
from api.wire.documents import Document, DocumentChunk
from api.wire.pages import Page
from api.wire.vector_stores import VectorStore
from bench.counted_service import texts_embedded
from bench.service import serving

_PARALLEL = 4  # uploads at a time, as `citewell ingest`
_POLL_S = 0.5  # as `citewell ingest`; each poll costs the service some milliseconds


@dataclass(frozen=True, slots=True)
class IngestService:
    """A service with a home of its own, empty at first, by default settings."""

    home: Path
    pid: int
    client: Client

    def ingest(self, store_name: str, sources: Sequence[Source]) -> list[Outcome]:
        """Upload and attach what is new, and return when nothing is in progress any more."""
        store = self.client.store_or_new(store_name)
        with shown_progress(len(sources)) as progress:
            outcomes = Ingestion(self.client, store, progress).run(sources, parallel=_PARALLEL, wait=False)
        while self._store(store).file_counts.in_progress:
            time.sleep(_POLL_S)
        return outcomes

    def failed(self, store_name: str) -> int:
        """How many documents of a store failed."""
        return self._store(self.client.store(store_name)).file_counts.failed

    def chunks(self, store_name: str) -> dict[str, list[DocumentChunk]]:
        """The chunks of every completed document of a store, by key."""
        path = f"/vector_stores/{self.client.store(store_name).id}/documents"
        documents = self.client.pages(path, Document, {"status": "completed"})
        keys = [document.key for document in documents]
        return {key: self.client.get(f"{path}/chunks", Page[DocumentChunk], {"key": key}).data for key in keys}

    def texts_embedded(self) -> int:
        """How many texts its embedding model was given for documents so far."""
        return texts_embedded(self.home)

    def _store(self, store: VectorStore) -> VectorStore:
        return self.client.get(f"/vector_stores/{store.id}", VectorStore)


@contextmanager
def ingest_service() -> Iterator[IngestService]:
    """For the length of the block."""
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
        home = Path(folder)
        with serving(home, module="bench.counted_service") as service:
            client = Client(service.url, service.key)
            try:
                yield IngestService(home, service.pid, client)
            finally:
                client.close()
