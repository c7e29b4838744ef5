"""What a store is built by when its owner asks for nothing else."""

from indexes.embedders.models import Models
from indexes.lexical import WORDS_2
from indexes.manifest import LexicalSpec, Manifest
from ingestion.chunk import CHUNKER_VERSION, default_chunking
from ingestion.parse import PARSER_VERSION


async def default_manifest(models: Models, chunker: str = CHUNKER_VERSION) -> Manifest:
    """The manifest of a new store's first index version."""
    spec = await models.default_spec()
    return Manifest(
        parser=PARSER_VERSION,
        chunker=chunker,
        chunking=default_chunking(spec.max_tokens),
        embedding=spec,
        lexical=LexicalSpec(analysis=WORDS_2),
    )
