"""Two answers to one question side by side: texts, citations, verdicts, what was found, what it cost."""

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.wire.citations import FileCitation
from api.wire.replays import ReplayCitations, ReplayHits, ReplaySide, ReplaySources, ResponseReplay
from api.wire.responses import OutputMessage, ResponseObject
from indexes.catalog.tables import RevisionState
from indexes.sentences import sentences


@dataclass(frozen=True, slots=True)
class Made:
    """An answer and its trace; `removed` says that its text went with a document."""

    response: ResponseObject
    trace: dict[str, Any]
    removed: bool = False

    @property
    def text(self) -> str:
        """The answer."""
        return self._message.content[0].text

    @property
    def citations(self) -> dict[tuple[str, str], FileCitation]:
        """By what tells them apart: the document and the quote. Offsets move when a document is parsed anew."""
        return {(one.key, one.quote): one for one in self._message.content[0].annotations}

    @property
    def _message(self) -> OutputMessage:
        return next(item for item in self.response.output if isinstance(item, OutputMessage))


def compared(original: Made, replayed: Made, states: Mapping[str, RevisionState], notes: list[str]) -> ResponseReplay:
    """The replay of `original`. `states` are those of the revisions that it was made from; what is gone is left out."""
    sources = _sources(original, states)
    if sources.deleted:
        notes = [*notes, f"{sources.deleted} of the {sources.used} documents that were found are deleted since."]
    if sources.superseded:
        notes = [
            *notes,
            f"{sources.superseded} of the {sources.used} documents that were found are not current any more.",
        ]
    if original.removed:
        notes = [*notes, "The text of the original answer was removed with a document that it was made from."]
    citations = None if original.removed else _citations(original, replayed)
    diff = None if original.removed else text_diff(original.text, replayed.text)
    return ResponseReplay(
        response_id=original.response.id,
        trace_id=replayed.response.trace_id or "",
        same=None if citations is None else not (diff or citations.gained or citations.lost),
        notes=notes,
        sources=sources,
        original=_side(original),
        replayed=_side(replayed),
        diff=diff,
        citations=citations,
        hits=_hits(original, replayed),
    )


def text_diff(before: str, after: str) -> str:
    """A unified diff with a sentence a line; empty where the texts are equal but for white space between sentences."""
    lines = difflib.unified_diff(_lines(before), _lines(after), "original", "replayed", lineterm="", n=1)
    return "\n".join(lines)


def _lines(text: str) -> list[str]:
    return [" ".join(text[start:end].split()) for start, end in sentences(text)]


def _side(made: Made) -> ReplaySide:
    response, trace = made.response, made.trace
    return ReplaySide(
        model=trace["model"],
        prompt_version=trace["prompt_version"],
        index_versions=trace["index_versions"],
        text=None if made.removed else made.text,
        abstained=response.abstained,
        abstain_reason=response.abstain_reason,
        confidence=response.confidence,
        verdicts=Counter(sentence.verdict for sentence in response.sentences or ()),
        citations=len(trace["citations"]),
        input_tokens=trace["input_tokens"],
        output_tokens=trace["output_tokens"],
        retrieve_ms=trace["retrieve_ms"],
        answer_ms=trace["answer_ms"],
    )


def _citations(original: Made, replayed: Made) -> ReplayCitations:
    before, after = original.citations, replayed.citations
    return ReplayCitations(
        kept=len(before.keys() & after.keys()),
        gained=[after[one] for one in after if one not in before],
        lost=[before[one] for one in before if one not in after],
    )


def _hits(original: Made, replayed: Made) -> ReplayHits:
    before, after = ([hit["chunk_id"] for hit in made.trace["hits"]] for made in (original, replayed))
    return ReplayHits(
        kept=len(set(before) & set(after)),
        gained=[one for one in after if one not in before],
        lost=[one for one in before if one not in after],
    )


def _sources(original: Made, states: Mapping[str, RevisionState]) -> ReplaySources:
    used = {hit["revision_id"] for hit in original.trace["hits"]}
    now = Counter(states.get(revision, RevisionState.DELETED) for revision in used)
    return ReplaySources(
        used=len(used),
        current=now[RevisionState.CURRENT],
        superseded=now[RevisionState.SUPERSEDED],
        deleted=len(used) - now[RevisionState.CURRENT] - now[RevisionState.SUPERSEDED],
    )
