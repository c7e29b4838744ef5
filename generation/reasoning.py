"""Keeps what a model thinks before it answers out of the answer."""

from generation.profile import ModelProfile


class ReasoningFilter:
    """Drops the text between a model's thinking tags from a stream, wherever the stream is cut.

    Only thoughts before the answer are dropped: a tag later on is part of what is said. White space that follows the
    thoughts goes with them. Thoughts that never end leave no answer.
    """

    def __init__(self, profile: ModelProfile) -> None:
        self._open, self._close = profile.think_open, profile.think_close
        self._thinking = profile.starts_thinking
        self._answering = not self._close
        self._held = ""

    def come_apart(self) -> None:
        """The server keeps thoughts out of the text by itself: what it sends as text is the answer from the start."""
        self._thinking = False

    def feed(self, piece: str) -> str:
        """What is clearly part of the answer by now."""
        if self._answering:
            return piece
        self._held += piece
        if not self._thinking:
            said = self._held.lstrip()
            if len(said) < len(self._open) and self._open.startswith(said):
                return ""
            if not said.startswith(self._open):
                return self._answer(self._held)
            self._thinking = True
        _, closed, rest = self._held.partition(self._close)
        if closed and rest.strip():
            return self._answer(rest.lstrip())
        return ""

    def finish(self) -> str:
        """What was held back although nothing was thought."""
        return "" if self._answering or self._thinking else self._answer(self._held)

    def _answer(self, text: str) -> str:
        self._answering, self._held = True, ""
        return text
