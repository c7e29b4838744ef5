"""How likely it is that a text bears a claim out: the contract of judges, and those there are."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from generation.logistic import Logistic, probability, shipped
from generation.terms import terms
from indexes.model import Vector
from indexes.reranker import SharedReranker
from indexes.sentences import sentences

Embed = Callable[[Sequence[str]], Awaitable[Vector]]

_KEPT_VECTORS = 4_096  # of sentences of passages, which come again and again: 6 MB with 384 dimensions


class SupportJudge(Protocol):
    """Reads a claim together with a text."""

    async def support(self, claim: str, texts: Sequence[str]) -> Sequence[float]:
        """For each of `texts`, the probability, 0..1, that it bears `claim` out by itself.

        It is not for a judge to check numbers or negations: that was done before. Raises Unavailable or Overloaded.
        """


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a claim lies on a text, each 0..1.

    `share` of its terms are there, `pairs` of its neighbouring terms are neighbours there too. `similarity` is the
    cosine with the nearest sentence, None where nothing was embedded.
    """

    share: float
    pairs: float
    similarity: float | None = None

    @classmethod
    def of(cls, claim: str, text: str, similarity: float | None = None) -> "Alignment":
        """The alignment by words, and what is known of the meaning."""
        wanted, found = terms(claim), terms(text)
        asked, there = set(pairwise(wanted)), set(pairwise(found))
        share = len(set(wanted) & set(found)) / len(set(wanted)) if wanted else 0.0
        return cls(share, len(asked & there) / len(asked) if asked else share, similarity)


class AlignmentJudge:
    """By shared words, and by the embedding model where there is one: the default, which needs no weights of its own.

    `embed` turns texts into rows of length 1, as for queries.
    """

    def __init__(self, embed: Embed | None = None, curves: Sequence[Logistic] | None = None) -> None:
        self._embed = embed
        self._curves = shipped("support") if curves is None else curves
        self._vectors: dict[str, Vector] = {}

    async def support(self, claim: str, texts: Sequence[str]) -> Sequence[float]:
        """See `SupportJudge`."""
        return [probability(self._curves, found) for found in await self.align(claim, texts)]

    async def align(self, claim: str, texts: Sequence[str]) -> list[Alignment]:
        """How the claim lies on each of the texts."""
        if self._embed is None:
            return [Alignment.of(claim, text) for text in texts]
        parts = [[text[start:end] for start, end in sentences(text)] for text in texts]
        vectors = await self._embedded([claim, *(part for each in parts for part in each)])
        cosines = [max((float(vectors[part] @ vectors[claim]) for part in each), default=0.0) for each in parts]
        return [Alignment.of(claim, text, cosine) for text, cosine in zip(texts, cosines, strict=True)]

    async def _embedded(self, texts: Sequence[str]) -> dict[str, Vector]:
        assert self._embed is not None
        known = {text: self._vectors[text] for text in texts if text in self._vectors}
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            rows = dict(zip(new, await self._embed(new), strict=True))
            known |= rows
            self._vectors |= rows
            for old in list(self._vectors)[: max(0, len(self._vectors) - _KEPT_VECTORS)]:
                del self._vectors[old]
        return known


class LearnedJudge:
    """A cross-encoder trained to tell whether its second text follows from its first, or supports it.

    It is loaded, shared and bounded as a reranker is (`indexes/rerankers`), with the claim in the place of the query.
    Its scores are taken as they are: they must be probabilities.
    """

    def __init__(self, model: SharedReranker) -> None:
        self._model = model

    async def support(self, claim: str, texts: Sequence[str]) -> Sequence[float]:
        """See `SupportJudge`."""
        return [float(score) for score in await self._model.scores(claim, texts)]
