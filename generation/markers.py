"""Citation markers in the text that a language model streams."""

import re
from dataclasses import dataclass

# [1]  [1, 2]  [1][2]  [1-3]  【1】, with the blanks before them. Four digits are a year, not a passage.
_NUMBERS = r" *\d{1,3}(?: *(?:[,;、–-]|and) *\d{1,3})* *"
_TOKEN = re.compile(rf"(?P<ticks>`+)|(?P<newline>\n)|[ \t]*(?:\[(?P<square>{_NUMBERS})\]|【(?P<lens>{_NUMBERS})】)")
_UNCLEAR = re.compile(r"(?:`+|\s*(?:[\[【][\d ,;、–\-and]{0,40})?)$")
_RANGE = re.compile(r"(\d+)(?: *[–-] *(\d+))?")


@dataclass(frozen=True, slots=True)
class Marker:
    """The passage numbers of one marker, in the order written, each once."""

    numbers: tuple[int, ...]


class MarkerReader:
    """Splits a stream into text and markers; a marker takes the blanks before it along.

    What may be the beginning of a marker is held back until it is clear, so it does not matter where the stream is cut.
    Between backticks nothing is a marker: `items[0]` is code. White space at the very end is dropped.
    """

    def __init__(self) -> None:
        self._held = ""
        self._code = ""

    def feed(self, piece: str) -> list[str | Marker]:
        """What is clear by now, in order."""
        text = self._held + piece
        unclear = _UNCLEAR.search(text)
        clear = unclear.start() if unclear else len(text)
        self._held = text[clear:]
        return self._read(text[:clear])

    def finish(self) -> list[str | Marker]:
        """What was held back and will not become anything else."""
        rest, self._held = self._held.rstrip(), ""
        return self._read(rest)

    def _read(self, text: str) -> list[str | Marker]:
        parts: list[str | Marker] = []
        done = 0
        for token in _TOKEN.finditer(text):
            if ticks := token["ticks"]:
                self._code = ticks if not self._code else "" if ticks == self._code else self._code
            elif token["newline"]:
                self._code = self._code if len(self._code) > 2 else ""  # only a fence goes over several lines
            elif not self._code:
                parts += [text[done : token.start()], Marker(_expand(token["square"] or token["lens"]))]
                done = token.end()
        parts.append(text[done:])
        return [part for part in parts if part]


def _expand(numbers: str) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for first, last in _RANGE.findall(numbers):
        found.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
    return tuple(found)
