"""Citation markers in the text that a language model streams."""

import re
from dataclasses import dataclass

# [1]  [1, 2]  [1][2]  [1-3]  【1】, with the blanks before them. Four digits are a year, not a passage.
_NUMBERS = r"\s*\d{1,3}(?:\s*(?:[,;、–-]|and)\s*\d{1,3})*\s*"
_MARKER = re.compile(rf"[ \t]*(?:\[{_NUMBERS}\]|【{_NUMBERS}】)")
_MAY_BECOME = re.compile(r"[ \t]*(?:[\[【][\d\s,;、–andand-]{0,40})?$")
_RANGE = re.compile(r"(\d+)\s*[–-]\s*(\d+)|(\d+)")
_MOST_IN_RANGE = 20


@dataclass(frozen=True, slots=True)
class Marker:
    """The passage numbers of one marker, in the order written, each once."""

    numbers: tuple[int, ...]


class MarkerReader:
    """Splits a stream into text and markers. A marker goes together with the blanks before it.

    Text that may be the beginning of a marker is held back until it is clear, however the stream is cut. Between
    backticks nothing is a marker: `items[0]` is code.
    """

    def __init__(self) -> None:
        self._held = ""
        self._ticks = 0

    def feed(self, piece: str) -> list[str | Marker]:
        """What is clear by now, in order."""
        self._held += piece
        parts = self._parts(self._held)
        held = _MAY_BECOME.search(self._held)
        return parts if held is None else parts

    def finish(self) -> list[str | Marker]:
        """What was held back."""
