"""Boxes: where on the pages of a file a stretch of its text is printed."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.wire.base import ReplyModel, RequestModel
from ingestion.boxes import PageBox


class BoxesQuery(RequestModel):
    """Which stretch of the canonical text: that of a citation, `source_start` to `source_end`, or of a hit."""

    start: int = Field(ge=0, description="Where the stretch begins in the canonical text, in code points.")
    end: int = Field(ge=1, description="Where it ends.")

    @model_validator(mode="after")
    def _is_a_stretch(self) -> Self:
        if self.end <= self.start:
            raise PydanticCustomError("invalid_value", "must have an end after its start")
        return self


class TextBox(ReplyModel):
    """One printed line, or one row of a table, on its page as a reader sees it.

    In points (1/72 inch) from the top left corner of the page; of pictures, in pixels.
    """

    page: int = Field(description="The page, from 1.")
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, found: PageBox) -> Self:
        """A box on the wire."""
        left, top, right, bottom = found.box
        return cls(page=found.page, left=left, top=top, right=right, bottom=bottom)


class FileBoxes(ReplyModel):
    """Where a stretch of a file's text is printed."""

    object: Literal["vector_store.file.boxes"] = "vector_store.file.boxes"
    data: list[TextBox] = Field(description="The lines in reading order; empty where the format has no pages.")
