"""The hook that puts a question in other words before it is searched."""

import re
from typing import Protocol

# What people say to be polite, in English, and what no document says.
_COURTESY = re.compile(
    r"""
    ^ (?: (?: hi | hello | hey | dear \s \w+ | good \s (?: morning | afternoon | evening ) ) [,!.]? \s+ )?
      (?: (?: please | kindly | (?: can | could | would | will ) \s (?: you | someone | anyone | somebody | anybody )
            | (?: i | we ) (?: \s would | \s? ['’] d )? \s (?: like | want | need | love ) \s to \s know
            | (?: i | we ) \s (?: was | am | are | were ) \s wondering
            | do \s you \s (?: happen \s to \s )? know
          ) \b ,? \s+ )?
      (?: please \s+ )?
      (?: (?: tell | show | explain \s to | let ) \s (?: me | us ) \b (?: \s know )? \s+ (?: about \s+ | if \s+ )? )?
    | (?: [,]? \s+ (?: please | thanks | thank \s you | many \s thanks ) (?: \s in \s advance )? ) [.!?\s]* $
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Rewriter(Protocol):
    """Makes forms of one question, all of which are searched: a chunk counts by the form that finds it best."""

    async def rewrite(self, question: str) -> tuple[str, ...]:
        """The question as it was asked, then its other forms, if any."""


class AsAsked:
    """Searches for the question as it is."""

    async def rewrite(self, question: str) -> tuple[str, ...]:
        return (question,)


class WithoutCourtesy:
    """Searches for the question, and for it without what is said to be polite, where that leaves three words.

    SciFact with one of eight courtesies around each claim: nDCG@10 .735 as asked, .741 so, .741 without courtesy.
    """

    async def rewrite(self, question: str) -> tuple[str, ...]:
        whole = " ".join(question.split())
        bare = _COURTESY.sub("", whole)
        return (question, bare) if bare != whole and len(bare.split()) >= 3 else (question,)
