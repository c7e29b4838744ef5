"""What is embedded, and compared by words, of a chunk: its text, below the headings that it stands under."""

from indexes.model import Chunk

HEADINGS_1 = "headings-1"
_MOST_CHARACTERS = 120  # about as many tokens as the next chunk repeats, should the model not read the end of this one


def in_context(chunk: Chunk, context: str | None) -> str:
    """The text by the way that a manifest names: None is the text alone.

    Those of the headings that the text itself has are not said again.
    """
    missing = [heading for heading in chunk.span.section if heading not in chunk.text] if context else []
    path = " > ".join(missing)[:_MOST_CHARACTERS]
    return f"{path}\n\n{chunk.text}" if path else chunk.text
