"""Answers as JSON that a server's decoder is held to: sentences, each with the passages it rests on, or none."""

from generation.json_stream import ITEM, Closed, JsonStream, StringPart, Value
from generation.llm import JsonSchema
from generation.marked_text import MarkedTextReader
from generation.markers import Marker
from generation.prompt import NO_ANSWER
from indexes.errors import Unavailable

_TEXT = (ITEM, "text")
_CITATIONS = (ITEM, "citations")
_MOST_CITED = 4  # by one sentence: a small model left alone lists all there are

# Follows the rules of the prompt, in the role that gives orders. It does not vary, so a prefix cache can keep it.
FORMAT = (
    'Write the answer as a JSON list: [{"text": "…", "citations": [1]}]. Each item is one sentence, without markers in '
    "its text; its `citations` are the numbers of the passages it rests on, or [] if it rests on none. "
    f"If the passages do not answer the question, write [] (that is what {NO_ANSWER} means here)."
)


def schema(passages: int) -> JsonSchema:
    """What the decoder may write about passages numbered from 1: no other number can be cited."""
    cited = {"type": "array", "items": {"enum": list(range(1, passages + 1))}, "maxItems": _MOST_CITED}
    sentence = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1}, "citations": cited},
        "required": ["text", "citations"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": sentence}  # an object around it would put off the first word by some tokens


class CitedJsonReader:
    """Text and markers from a stream of that JSON, as `MarkerReader` has them from plain text.

    Text goes on as it arrives; the citations of a sentence follow when their array closes. Markers that the model
    writes into the text all the same are read as such.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._json = JsonStream()
        self._sentence = MarkedTextReader()
        self._cited: dict[int, None] = {}

    def feed(self, piece: str) -> list[str | Marker]:
        """What is clear by now, in order. Raises Unavailable where it is not that JSON."""
        try:
            events = self._json.feed(piece)
        except ValueError as error:
            raise Unavailable(
                f"{self._name} does not keep to the schema it was given ({error}). Set its `citations` to `markers`."
            ) from error
        parts: list[str | Marker] = []
        for event in events:
            match event:
                case StringPart(path, text) if path == _TEXT:
                    parts += self._sentence.feed(text)
                case Closed(path) if path == _TEXT:
                    parts += self._sentence.finish()
                    self._sentence = MarkedTextReader(" ")
                case Value((*path, _), value) if tuple(path) == _CITATIONS and isinstance(value, int):
                    self._cited[value] = None
                case Closed(path) if path == _CITATIONS and self._cited:
                    parts.append(Marker(tuple(self._cited)))
                    self._cited = {}
        return parts

    def finish(self) -> list[str | Marker]:
        """What was held back of a sentence that the stream broke off in."""
        return self._sentence.finish()
