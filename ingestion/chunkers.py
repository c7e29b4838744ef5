"""The chunkers by the name that manifests hold."""

from collections.abc import Callable

from indexes.embedder import Tokenizer
from indexes.errors import InvalidRequest
from indexes.manifest import Chunking
from indexes.model import CanonicalText, Span
from ingestion import chunk, llama_index_chunk

Chunker = Callable[[CanonicalText, Chunking, Tokenizer], list[Span]]

CHUNKERS: dict[str, Chunker] = {
    chunk.CHUNKER_VERSION: chunk.chunk,
    llama_index_chunk.LLAMA_INDEX_CHUNKER: llama_index_chunk.chunk,
}


def chunker(name: str) -> Chunker:
    """The chunker of that name. Raises InvalidRequest, naming those there are."""
    if name not in CHUNKERS:
        raise InvalidRequest(f"There is no chunker '{name}'. Known: {', '.join(CHUNKERS)}.", param="chunker")
    return CHUNKERS[name]
