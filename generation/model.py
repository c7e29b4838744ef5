"""What an answer is made of, and the contract of whatever makes one."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from generation.prompt_version import PromptVersion
from indexes.model import Hit
from indexes.orders import Orders


@dataclass(frozen=True, slots=True)
class Passage:
    """A hit as it is handed to an answerer, numbered from 1; `suspect` where it gives orders to a model."""

    number: int
    hit: Hit
    suspect: bool = False


class OrdersPolicy(StrEnum):
    """What is done with passages that give orders to a model: say so, leave them out, or do not even look."""

    FLAG = "flag"
    EXCLUDE = "exclude"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A hit that gives orders to a model; `excluded` where no answer was made from it."""

    hit: Hit
    orders: Orders
    excluded: bool


class Verdict(StrEnum):
    """What the evidence says of a sentence."""

    SUPPORTED = "supported"
    PARTLY = "partly"
    UNSUPPORTED = "unsupported"
    UNVERIFIABLE = "unverifiable"


class AbstainReason(StrEnum):
    """Why there is no answer."""

    NO_HITS = "no_hits"
    LOW_CONFIDENCE = "low_confidence"
    UNSUPPORTED = "unsupported"
    CONFLICTING = "conflicting"
    FILTERED = "filtered"


class SupportPolicy(StrEnum):
    """What becomes of sentences that their citations do not bear out: they are marked, left out, or written anew."""

    FLAG = "flag"
    DROP = "drop"
    REGENERATE = "regenerate"


@dataclass(frozen=True, slots=True)
class Citation:
    """One piece of evidence for one stretch of an answer.

    `answer_start`, `answer_end` count code points of the answer; `index` is where a marker belongs (OpenAI's field).
    `source_start`, `source_end` count code points of the canonical text of the cited file, and `quote` is exactly that
    text (I10). `score` is in 0..1.
    """

    passage: Passage
    quote: str
    source_start: int
    source_end: int
    page: int | None
    answer_start: int
    answer_end: int
    index: int
    score: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer: `start`, `end` in its code points, and which citations (by position) carry it."""

    start: int
    end: int
    verdict: Verdict
    score: float
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a language model read and wrote; 0 where none was asked."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation; `role` is user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `instructions` are the app's own; `history` is oldest first.

    `unsupported`, `answer_precision` and `orders` are None for the platform's own. `filtered` says that not all
    documents were allowed.
    """

    text: str
    instructions: str | None = None
    history: tuple[Turn, ...] = ()
    standalone: str | None = None  # what it comes to without the history, where that is something else
    prompt: PromptVersion | None = None  # what a language model is asked with; None: what ships
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    unsupported: SupportPolicy | None = None
    answer_precision: float | None = None
    orders: OrdersPolicy | None = None
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `confidence` is in 0..1. `incomplete` names why it stopped early (`max_output_tokens`).

    `dropped_markers` and `dropped_links` count what was taken out; `suspects` are passages that give orders to a model.
    `fallback` is None, or says why another answerer than the wanted one made it. `search_query` is what was searched
    for where that is not the question.
    """

    text: str
    model: str
    citations: tuple[Citation, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    abstained: bool = False
    abstain_reason: AbstainReason | None = None
    confidence: float = 0.0
    usage: Usage = field(default_factory=Usage)
    incomplete: str | None = None
    prompt_version: str | None = None
    dropped_markers: int = 0
    dropped_links: int = 0
    suspects: tuple[Suspect, ...] = ()
    fallback: str | None = None
    search_query: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationAdded:
    """A citation whose `index` is the length of the text sent so far."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Answered:
    """The end: the same text and citations as were streamed, with the verdict on the whole."""

    answer: Answer


AnswerEvent = TextDelta | CitationAdded | Answered


class Answerer(Protocol):
    """Makes an answer from passages. The last event is `Answered`, and only the last.

    Raises Unavailable where the model server does not answer before any text was sent or breaks off in the middle.
    Closing the iterator stops the work.
    """

    name: str

    def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        """Stream the answer to `question` from `passages` alone, best passage first."""
