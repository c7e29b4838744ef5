"""The hook that puts a question in other words before it is searched."""

from typing import Protocol


class Rewriter(Protocol):
    """Makes forms of one question, all of which are searched: a chunk counts by the form that finds it best."""

    async def rewrite(self, question: str) -> tuple[str, ...]:
        """The question as it was asked, then its other forms, if any."""


class AsAsked:
    """Searches for the question as it is."""

    async def rewrite(self, question: str) -> tuple[str, ...]:
        return (question,)
