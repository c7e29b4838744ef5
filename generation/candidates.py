"""The sentences an extractive answer may be made of, and what speaks for each of them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from generation.cues import shows, wanted
from generation.model import Passage
from generation.terms import Rarity, terms
from indexes.sentences import is_table_row, sentences, without_list_marker

_WORD = re.compile(r"[^\W\d_]{2,}")
_STOPPED = re.compile(r"[.!?…:。！？؟۔।][\s)\]”’\"'`»」』]*$")
_CODE = re.compile(r"[{}\[\]<>=\\|;_$/]")
# Sentences about the document instead of its subject.
_POINTER = re.compile(
    r"^\W*(?:for example,? )?(?:this (?:page|section|guide|document|chapter|article|topic|glossary|example|tutorial)"
    r"|(?:the following|below)\b|(?:for|to learn|learn|read) (?:more|further|additional)\b|see\b|refer to)"
    r"|\bsee (?:the )?\S+( \S+)?\.?$",
    re.IGNORECASE,
)
_HEADING_WORDS = 12
_READ = 4000  # characters of a question: what is longer is a document, and others wait while it is read


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sentence of a passage: `passage.hit.chunk.text[start:end]`.

    `outer_start` is `start` with the marker of a list item. `context` are the terms that a reader of the document has
    in mind there: of the sentence before or the header of the table, of the headings above and of the document's name.
    """

    passage: Passage
    outer_start: int
    start: int
    end: int
    terms: frozenset[str]
    context: frozenset[str]

    @property
    def text(self) -> str:
        return self.passage.hit.chunk.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a candidate.

    `similarity` and `dense` are cosines with the question: of the sentence (None where nothing was embedded), and of
    its whole passage. `behind` is how far the passage's cosine lies below the best one. `coverage` and `in_context` are
    shares, 0..1, of the question's terms. `cue`, `opening` and `prose` are 0..1, `length` a logarithm of words.
    """

    coverage: float
    in_context: float
    dense: float
    behind: float
    cue: float
    opening: float
    prose: float
    length: float
    similarity: float | None = None


def candidates(passages: Sequence[Passage]) -> list[Candidate]:
    """Every sentence of the passages that is not a heading: best passage first, in reading order within it.

    Where chunks overlap, each stretch of a document comes once. Passages that give orders to a model have none.
    """
    found: list[Candidate] = []
    seen: set[tuple[str, int]] = set()
    for passage in (each for each in passages if not each.suspect):
        for candidate in _sentences_of(passage):
            place = (passage.hit.chunk.revision_id, passage.hit.chunk.span.start + candidate.start)
            if place not in seen:
                seen.add(place)
                found.append(candidate)
    return found


def _sentences_of(passage: Passage) -> list[Candidate]:
    chunk = passage.hit.chunk
    document = frozenset(terms(" ".join((*chunk.span.section, passage.hit.key))))
    above, before = document, frozenset[str]()
    in_table = False
    found: list[Candidate] = []
    for outer, end in sentences(chunk.text):
        start = without_list_marker(chunk.text, outer, end)
        own = frozenset(terms(chunk.text[start:end]))
        if start == outer and _is_heading(chunk.text, start, end):
            above, before = document | own, frozenset()
            continue
        if not any(map(str.isalnum, chunk.text[start:end])):
            continue  # nothing but signs
        found.append(Candidate(passage, outer, start, end, own, above | before))
        is_row = is_table_row(chunk.text[start:end])
        if not (is_row and in_table):  # what a row means, the header says, not the row before it
            before = own
        in_table = is_row
    return found


def _is_heading(text: str, start: int, end: int) -> bool:
    """A short line alone between blank lines that no stop ends, or that asks."""
    line = text[start:end]
    alone = text[:start].rstrip(" \t")[-2:] in ("", "\n\n") and text[end:].lstrip(" \t")[:2] in ("", "\n\n")
    if not alone or len(line.split()) > _HEADING_WORDS or line[0].islower() or text[:start].rstrip().endswith(":"):
        return False
    return line.endswith(("?", "？")) or (_STOPPED.search(line) is None and not is_table_row(line))


def weigh(question: str, found: Sequence[Candidate]) -> list[Evidence]:
    """What speaks for each candidate as an answer to `question`, in the order given; nothing is embedded."""
    question = question[:_READ]
    kind, asked = wanted(question), frozenset(terms(question))
    rarity = Rarity([candidate.terms for candidate in found])
    cosines = [score for candidate in found if (score := candidate.passage.hit.scores.dense) is not None]
    best, least = max(cosines, default=0.0), min(cosines, default=0.0)

    def evidence(candidate: Candidate) -> Evidence:
        dense = candidate.passage.hit.scores.dense
        dense = least if dense is None else dense
        return Evidence(
            coverage=rarity.coverage(asked, candidate.terms),
            in_context=rarity.coverage(asked, candidate.terms | candidate.context),
            dense=dense,
            behind=best - dense,
            cue=shows(kind, question, candidate.text),
            opening=float(candidate.start == 0),
            prose=prose(candidate.text),
            length=math.log1p(len(candidate.terms)),
        )

    return [evidence(candidate) for candidate in found]


def is_stopped(text: str) -> bool:
    """Whether a full stop, a colon or their like ends the text."""
    return _STOPPED.search(text) is not None


def prose(text: str) -> float:
    """How much this reads as a sentence of a text, 0..1, rather than as a scrap, a signpost or a line of code."""
    if text.endswith(("?", "？")):
        return 0.0  # a question is no answer, however much it looks like the one asked
    if is_table_row(text):
        return 0.7
    whole = 1.0 if is_stopped(text) else 0.6
    about = 0.25 if _POINTER.search(text) and not text.endswith(":") else 1.0
    plain = max(0.0, 1.0 - 8.0 * len(_CODE.findall(text)) / len(text))
    long_enough = min(1.0, (len(_WORD.findall(text)) if text.isascii() else len(text) / 2) / 5)
    return whole * about * plain * long_enough
