"""Reranking by the model that searches use, in the shape that vLLM, Jina and Cohere share."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from api.wire.base import STORABLE, Id, ReplyModel, RequestModel, Text
from indexes.model import Vector

_Text = Annotated[str, Field(min_length=1, max_length=131_072), STORABLE]


class RerankText(RequestModel):
    """A text as an object."""

    text: _Text


class RerankCreate(RequestModel):
    """Texts to be ordered by how well they answer a query. What a model cannot read of a long one is cut off."""

    model: Id = Field(description="The reranker of `/v1/models`.")
    query: _Text = Field(description="The question.")
    documents: list[_Text | RerankText] = Field(min_length=1, max_length=1000, description="Texts that may answer it.")
    top_n: int | None = Field(None, ge=1, description="How many of the best to return; all if left out.")
    return_documents: bool = Field(False, description="Whether results carry their texts.")
    truncate_prompt_tokens: Literal[-1] | None = Field(
        None, description="Only -1, at the model's limit, which is where texts are cut anyway."
    )
    user: Text | None = Field(None, description="Accepted and not used.")

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [one if isinstance(one, str) else one.text for one in self.documents]


class RerankDocument(ReplyModel):
    """A text that was sent."""

    text: str


class RerankResult(ReplyModel):
    """One text in its new place."""

    index: int = Field(description="Which text it is, from 0.")
    relevance_score: float = Field(description="How well it answers the query, 0..1.")
    document: RerankDocument | None = Field(None, description="With `return_documents`.")


class RerankUsage(ReplyModel):
    """Tokens of the query and of the texts."""

    prompt_tokens: int
    total_tokens: int


class RerankList(ReplyModel):
    """The texts, best first; equal ones in the order in which they were sent."""

    id: str
    model: str
    usage: RerankUsage | None = Field(None, description="Left out where a model server counts differently.")
    results: list[RerankResult]

    @classmethod
    def of(cls, scores: Vector, request: RerankCreate, *, reply_id: str, tokens: int | None) -> Self:
        """The reply to `request`; `scores` has shape (number of texts,)."""
        texts = request.texts
        return cls(
            id=reply_id,
            model=request.model,
            usage=None if tokens is None else RerankUsage(prompt_tokens=tokens, total_tokens=tokens),
            results=[
                RerankResult(
                    index=index,
                    relevance_score=float(scores[index]),
                    document=RerankDocument(text=texts[index]) if request.return_documents else None,
                )
                for index in np.argsort(-scores, kind="stable")[: request.top_n].tolist()
            ],
        )
