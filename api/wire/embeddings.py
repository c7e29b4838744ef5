"""Embeddings by the models that the indexes use."""

import base64
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.wire.base import STORABLE, Id, ReplyModel, RequestModel, Text
from indexes.model import Vector

_Input = Annotated[str, Field(min_length=1, max_length=131_072), STORABLE]


def _no_token_numbers(value: object) -> object:
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, int | list):
        raise PydanticCustomError(
            "invalid_value", "must be text: token numbers mean nothing to the tokenizer of another model"
        )
    return value


class EmbeddingCreate(RequestModel):
    """Texts to embed."""

    input: Annotated[
        _Input | Annotated[list[_Input], Field(min_length=1, max_length=2048)], BeforeValidator(_no_token_numbers)
    ] = Field(description="One text, or several. No token numbers: they mean nothing to another tokenizer.")
    model: Id = Field(description="An embedding model of `/v1/models`.")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="`base64` is little-endian 32 bit floats; it is smaller on the wire."
    )
    dimensions: int | None = Field(None, ge=1, description="If given, must be the dimension the model has.")
    user: Text | None = Field(None, description="Accepted and not used.")

    @property
    def texts(self) -> list[str]:
        """The text or texts, always as several."""
        return [self.input] if isinstance(self.input, str) else self.input


class Embedding(ReplyModel):
    """One vector of length 1."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Which text it belongs to, from 0.")
    embedding: list[float] | str = Field(description="The numbers, or their base64.")


class EmbeddingUsage(ReplyModel):
    """Tokens that were embedded."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(ReplyModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage

    @classmethod
    def of(cls, vectors: Vector, request: EmbeddingCreate, *, tokens: int) -> Self:
        """The reply to `request`; `vectors` has shape (number of texts, dimension)."""
        encode = _base64 if request.encoding_format == "base64" else _numbers
        return cls(
            data=[Embedding(index=index, embedding=encode(vector)) for index, vector in enumerate(vectors)],
            model=request.model,
            usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
        )


def _numbers(vector: Vector) -> list[float]:
    return [float(number) for number in vector]


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype(np.dtype("<f4")).tobytes()).decode()
