"""Citations and verdicts: what an answer says of its evidence, the same in both answer APIs."""

from typing import Literal, Self

from pydantic import Field

from api.wire.base import ReplyModel
from generation.model import AbstainReason, Answer, Citation, Sentence, Suspect, Verdict


class FileCitation(ReplyModel):
    """One piece of evidence for one stretch of an answer."""

    type: Literal["file_citation"] = "file_citation"
    file_id: str = Field(description="Id of the cited file.")
    filename: str = Field(description="Name of the cited file.")
    index: int = Field(description="Where a marker belongs in the answer, in code points.")
    chunk_id: str = Field(description="Id of the cited chunk.")
    key: str = Field(description="Path-like name of the document in its store.")
    page: int | None = Field(description="Page where the quote begins, from 1; null where it is unknown.")
    quote: str = Field(description="Exactly `text[source_start:source_end]` of the file's canonical text.")
    source_start: int = Field(description="Where the quote begins in the canonical text, in code points.")
    source_end: int = Field(description="Where the quote ends.")
    start_index: int = Field(description="Where the stretch of the answer that it supports begins, in code points.")
    end_index: int = Field(description="Where that stretch ends.")
    score: float = Field(description="How well the quote supports the stretch, 0..1.")
    verdict: Verdict = Field(description="What the quote says of the stretch.")
    index_version: str = Field(description="The index version that found the chunk, `ixv_…`.")

    @classmethod
    def from_citation(cls, citation: Citation) -> Self:
        """A citation on the wire."""
        hit = citation.passage.hit
        return cls(
            file_id=hit.file_id,
            filename=hit.filename,
            index=citation.index,
            chunk_id=hit.chunk.id,
            key=hit.key,
            page=citation.page,
            quote=citation.quote,
            source_start=citation.source_start,
            source_end=citation.source_end,
            start_index=citation.answer_start,
            end_index=citation.answer_end,
            score=citation.score,
            verdict=citation.verdict,
            index_version=hit.index_version,
        )


class AnswerSentence(ReplyModel):
    """One sentence of the answer and what the evidence says of it."""

    start: int = Field(description="Where it begins in the answer, in code points.")
    end: int = Field(description="Where it ends.")
    text: str = Field(description="The sentence.")
    verdict: Verdict = Field(description="What the evidence says of it.")
    score: float = Field(description="How sure the verdict is, 0..1.")
    citations: list[int] = Field(description="Which annotations carry it, by position from 0.")

    @classmethod
    def from_sentence(cls, sentence: Sentence, answer: str) -> Self:
        """A sentence of `answer` on the wire."""
        return cls(
            start=sentence.start,
            end=sentence.end,
            text=answer[sentence.start : sentence.end],
            verdict=sentence.verdict,
            score=sentence.score,
            citations=list(sentence.citations),
        )


class SuspectPassage(ReplyModel):
    """A passage that was found and that gives orders to a language model."""

    file_id: str = Field(description="Id of the file.")
    chunk_id: str = Field(description="Id of the chunk.")
    score: float = Field(description="How much it reads so, 0..1.")
    rules: list[str] = Field(description="What speaks for it.")
    excluded: bool = Field(description="Whether it was left out of what the answer was made from.")

    @classmethod
    def from_suspect(cls, suspect: Suspect) -> Self:
        """A suspect on the wire."""
        hit, found = suspect.hit, suspect.orders
        return cls(
            file_id=hit.file_id,
            chunk_id=hit.chunk.id,
            score=found.score,
            rules=list(found.rules),
            excluded=suspect.excluded,
        )


class AnswerExtras(ReplyModel):
    """What rides on the official answer objects; null while the answer is being made."""

    abstained: bool | None = Field(None, description="Whether the documents do not answer the question.")
    abstain_reason: AbstainReason | None = Field(None, description="Why; null unless abstained.")
    confidence: float | None = Field(None, description="How sure the answer is, 0..1.")
    fallback: str | None = Field(None, description="Why documents were quoted instead of asking the language model.")
    search_query: str | None = Field(
        None, description="What was searched for, where that is not the question but what a conversation made of it."
    )
    sentences: list[AnswerSentence] | None = Field(None, description="The answer by sentences, each with its verdict.")
    dropped_markers: int | None = Field(None, description="Citations of passages that are not there, taken out.")
    dropped_links: int | None = Field(None, description="Links and images that no passage has, taken out.")
    suspects: list[SuspectPassage] | None = Field(None, description="Passages that give orders to a language model.")
    trace_id: str | None = Field(None, description="Id of the trace that pins what made the answer.")


def answer_extras(answer: Answer, trace_id: str | None) -> AnswerExtras:
    """The extras of a finished answer."""
    return AnswerExtras(
        abstained=answer.abstained,
        abstain_reason=answer.abstain_reason,
        confidence=answer.confidence,
        fallback=answer.fallback,
        search_query=answer.search_query,
        sentences=[AnswerSentence.from_sentence(sentence, answer.text) for sentence in answer.sentences],
        dropped_markers=answer.dropped_markers,
        dropped_links=answer.dropped_links,
        suspects=[SuspectPassage.from_suspect(suspect) for suspect in answer.suspects],
        trace_id=trace_id,
    )


def annotations(answer: Answer) -> list[FileCitation]:
    """The citations of a finished answer, in order."""
    return [FileCitation.from_citation(citation) for citation in answer.citations]
