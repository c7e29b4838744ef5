"""The `file_search` tool, the same in both answer APIs, and the call that reports what it found."""

from typing import Annotated, Literal, Self

from pydantic import Field

from api.wire.base import AttributesOut, Id, Refused, ReplyModel, RequestModel
from api.wire.filters import Filters
from api.wire.search import HitExtras, PinnedSnapshot, PinnedVersion, RankingOptions, hit_extras, score_of
from indexes.model import Hit

_ONLY_FILE_SEARCH = Refused(
    "The one tool here is `file_search`, with the `vector_store_ids` to answer from.", allowed=("file_search",)
)


class FileSearchTool(RequestModel):
    """Answer from the documents of these stores."""

    type: Annotated[Literal["file_search"], _ONLY_FILE_SEARCH]
    vector_store_ids: list[Id] = Field(min_length=1, max_length=16, description="The stores to search.")
    max_num_results: int | None = Field(None, ge=1, le=50, description="The most hits to answer from.")
    filters: Filters | None = Field(None, description="Which documents may be used, by their attributes.")
    ranking_options: RankingOptions | None = Field(None, description="Ranking and cut-off.")
    index_version: PinnedVersion = None
    snapshot: PinnedSnapshot = None


class FileSearchChoice(RequestModel):
    """Search files: what always happens."""

    type: Literal["file_search"]


ToolChoice = Literal["auto", "required"] | FileSearchChoice
Tools = Annotated[list[FileSearchTool], Field(max_length=1)]


class FileSearchResult(HitExtras):
    """A hit of the search behind an answer."""

    file_id: str = Field(description="Id of its file.")
    filename: str = Field(description="Name of its file.")
    score: float = Field(description="0..1; results are ordered by it.")
    attributes: AttributesOut = Field(description="Attributes of the document.")
    text: str = Field(description="The text of the chunk.")

    @classmethod
    def from_hit(cls, hit: Hit) -> Self:
        """A hit on the wire."""
        return cls(
            **dict(hit_extras(hit)),
            file_id=hit.file_id,
            filename=hit.filename,
            score=score_of(hit),
            attributes=dict(hit.attributes),
            text=hit.chunk.text,
        )


class FileSearchCall(ReplyModel):
    """The search behind an answer."""

    id: str = Field(description="Identifier, `fs_…`.")
    type: Literal["file_search_call"] = "file_search_call"
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"]
    queries: list[str] = Field(default_factory=list, description="What was searched for.")
    results: list[FileSearchResult] | None = Field(
        None, description="What was found, if `include` asks for `file_search_call.results`."
    )
