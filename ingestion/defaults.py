"""What a store is built by when its owner asks for nothing else."""

from indexes.context import HEADINGS_1
from indexes.embedders.models import Models
from indexes.lexical import WORDS_2
from indexes.manifest import LexicalSpec, Manifest
from ingestion.chunk import CHUNKER_VERSION, default_chunking
from ingestion.parse import PARSER_VERSION

# Chunks of the default size were counted: about 80 words that are no stop words on SciFact and CLAPnq, fewer in text of
# short sections. Of 64, 96 and 128, 96 finds most on both (SciFact .691, .690, .685; CLAPnq .942, .943, .943).
_LEXICAL = LexicalSpec(average_length=96.0, analysis=WORDS_2)


async def default_manifest(models: Models, chunker: str = CHUNKER_VERSION) -> Manifest:
    """The manifest of a new store's first index version."""
    spec = await models.default_spec()
    return Manifest(
        parser=PARSER_VERSION,
        chunker=chunker,
        chunking=default_chunking(spec.max_tokens),
        embedding=spec,
        lexical=_LEXICAL,
        context=HEADINGS_1,
    )
