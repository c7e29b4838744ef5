"""Answers as plain text with `[n]` in it, for servers whose decoder cannot be held to a form."""

from typing import Protocol

from generation.markers import Marker, MarkerReader
from generation.prompt import NO_ANSWER

_AROUND = " \n\"'*`"


class AnswerReader(Protocol):
    """Finds text and markers in what a model says, wherever its stream is cut."""

    def feed(self, piece: str) -> list[str | Marker]:
        """What is clear by now, in order."""

    def finish(self) -> list[str | Marker]:
        """What was held back, at the end of the stream."""


class MarkedTextReader:
    """Text and its markers; nothing, for ever, where it begins with the agreed word for having no answer.

    The first words are held back until that is clear. `before` goes ahead of a text that is not empty.
    """

    def __init__(self, before: str = "") -> None:
        self._held = before
        self._clear = False
        self._markers = MarkerReader()

    def feed(self, piece: str) -> list[str | Marker]:
        """See `AnswerReader`."""
        if self._clear:
            return self._markers.feed(piece)
        self._held += piece
        said = self._held.lstrip(_AROUND)
        if said.startswith(NO_ANSWER) or NO_ANSWER.startswith(said):
            return []
        self._clear = True
        return self._markers.feed(self._held)

    def finish(self) -> list[str | Marker]:
        """See `AnswerReader`."""
        held = "" if self._clear or self._held.lstrip(_AROUND).startswith(NO_ANSWER) else self._held
        return [*self._markers.feed(held), *self._markers.finish()]
