"""Golden sets: queries with what a good search finds for them. The rules are those of `evaluation/golden.py`."""

from typing import Annotated, Literal

from pydantic import Field

from api.wire.base import Label, Listed, ReplyModel, RequestModel, Text
from evaluation.golden import MAX_QUERIES

Graded = dict[Text, float] | list[Text]


class Relevant(RequestModel):
    """Grades of relevance, 0 to 100, or a list of ids where all are alike."""

    keys: Graded | None = Field(None, description="By document key.")
    chunks: Graded | None = Field(None, description="By chunk id; used between versions of the same chunks.")


class GoldenQuery(RequestModel):
    """One query and what a good search finds for it."""

    id: Text = Field(description="Its name in reports; distinct in the set.")
    query: Text = Field(description="What is asked.")
    relevant: Relevant = Field(description="At least one key or chunk with a grade above 0.")


class GoldenSetCreate(RequestModel):
    """A golden set, or a new version of the one of that name."""

    name: Label = Field(description="What people call it.")
    queries: Annotated[list[GoldenQuery], Field(max_length=MAX_QUERIES)] = Field(
        description="The queries. A refusal counts them from 1, as lines."
    )


class GoldenSetSummary(Listed):
    """One version of a golden set, without its queries."""

    id: str = Field(description="Identifier of this version, `gold_…`.")
    object: Literal["vector_store.golden_set"] = "vector_store.golden_set"
    vector_store_id: str = Field(description="The store.")
    name: str = Field(description="What people call it; stands for its newest version.")
    version: int = Field(description="Counts the versions of that name from 1.")
    sha256: str = Field(description="Of what it says: equal exactly where queries and grades are.")
    query_count: int = Field(description="How many queries it holds.")
    created_at: int = Field(description="When it was uploaded, Unix seconds.")


class GradedRelevant(ReplyModel):
    """Grades by id."""

    keys: dict[str, float] | None = None
    chunks: dict[str, float] | None = None


class GradedQuery(ReplyModel):
    """One query and what a good search finds for it."""

    id: str
    query: str
    relevant: GradedRelevant


class GoldenSet(GoldenSetSummary):
    """One version of a golden set."""

    queries: list[GradedQuery] = Field(description="The queries, in the order they were written.")
