"""Models: the answerers, the embedding models and the rerankers that this service uses."""

from typing import Literal

from pydantic import Field

from api.wire.base import ReplyModel


class ModelObject(ReplyModel):
    """One model. `{answerer}@{store}` names a store as well, for programs that only know a model name."""

    id: str = Field(description="What to send as `model`.")
    object: Literal["model"] = "model"
    created: int = Field(description="When it became known here, Unix seconds.")
    owned_by: str = Field("citewell", description="Who runs it.")
    kind: Literal["answerer", "embedding", "reranker"] = Field(description="What it does.")
    vector_store_id: str | None = Field(None, description="The store it answers from, if its name says so.")


class ModelList(ReplyModel):
    """All models, the default answerer first."""

    object: Literal["list"] = "list"
    data: list[ModelObject]
