"""Answers written by a language model from numbered passages, its citations checked while it writes."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from generation.abstain import Abstention, Calibration, abstained
from generation.budget import CountTokens, estimate_tokens, fit, recent
from generation.candidates import candidates, weigh
from generation.cited_json import FORMAT, CitedJsonReader, schema
from generation.draft import Draft
from generation.llm import Finished, LanguageModel, Message, Sampling
from generation.marked_text import AnswerReader, MarkedTextReader
from generation.markers import Marker
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    AnswerEvent,
    CitationAdded,
    Passage,
    Question,
    TextDelta,
    Usage,
)
from generation.outgoing import OutgoingFilter
from generation.profile import profile_of
from generation.prompt import PromptPassage, render
from generation.prompt_version import PromptVersion
from generation.settings import GenerationSettings, LlmSettings
from indexes.errors import InvalidRequest

_HISTORY_SHARE = 4  # of the prompt, one part in four may be history
_TEMPLATE_TOKENS = 192  # what chat templates put around messages, and the rules of a format
_FRAME_TOKENS = 24  # what the prompt puts around a passage, its number and its source
_LEAKED = "content_filter"
_INCOMPLETE = {"length": "max_output_tokens", _LEAKED: "content_filter"}


class LlmAnswerer:
    """Asks one model on one chat server, with the question's version of a prompt or else with `prompt`.

    Abstains without asking where there are no passages or they are plainly about something else, and when the model
    replies that they hold no answer.
    """

    def __init__(
        self,
        llm: LlmSettings,
        settings: GenerationSettings,
        client: LanguageModel,
        prompt: PromptVersion,
        calibration: Calibration | None = None,
        count: CountTokens = estimate_tokens,
    ) -> None:
        self.name = llm.name
        self._llm = llm
        self._profile = profile_of(llm)
        self._constrained = self._profile.citations == "json"
        self._abstention = Abstention(settings.llm_abstain_below, settings.answer_precision, calibration)
        self._client = client
        self._prompt = prompt
        self._count = count

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        """See `Answerer`."""
        prompt = question.prompt or self._prompt
        evidence = weigh(question.standalone or question.text, candidates(passages))
        confidence = self._abstention.confidence(passages, evidence)
        blank = Answer(text="", model=self.name, confidence=confidence, prompt_version=prompt.label)
        if reason := self._abstention.reason(question, passages, confidence):
            for event in abstained(blank, reason, passages):
                yield event
            return
        messages, shown = self._messages(prompt, question, passages)
        draft, reader, end = Draft(passages[:shown]), self._reader(), Finished("stop", Usage())
        outgoing = self._outgoing(prompt, question, passages)
        async with aclosing(self._client.stream(messages, self._sampling(question, shown))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finished):
                    end = piece
                    continue
                for event in _drafted(draft, outgoing, reader.feed(piece)):
                    yield event
                if outgoing.leaked:
                    end = Finished(_LEAKED, end.usage)
                    break
        for event in _drafted(draft, outgoing, reader.finish(), ended=True):
            yield event
        blank = replace(blank, usage=end.usage, dropped_links=outgoing.dropped)
        for event in self._ended(draft, passages, blank, end.reason):
            yield event

    def _ended(self, draft: Draft, passages: Sequence[Passage], answer: Answer, reason: str) -> Iterator[AnswerEvent]:
        if not draft.text and reason not in _INCOMPLETE:
            return abstained(answer, AbstainReason.UNSUPPORTED, passages)
        judged = draft.sentences()
        whole = replace(
            answer,
            text=draft.text,
            citations=tuple(draft.citations),
            sentences=judged,
            incomplete=_INCOMPLETE.get(reason),
            dropped_markers=draft.dropped,
        )
        return iter((Answered(whole),))

    def _outgoing(self, prompt: PromptVersion, question: Question, passages: Sequence[Passage]) -> OutgoingFilter:
        rules = render(prompt, "", ()).system
        texts = (passage.hit.chunk.text for passage in passages)
        return OutgoingFilter((*texts, question.text, question.instructions or ""), f"{rules}\n{FORMAT}")

    def _reader(self) -> AnswerReader:
        return CitedJsonReader(self.name) if self._constrained else MarkedTextReader()

    def _sampling(self, question: Question, shown: int) -> Sampling:
        temperature = self._llm.temperature if question.temperature is None else question.temperature
        constraint = schema(shown) if self._constrained else None
        return Sampling(temperature, self._max_output(question), question.top_p, constraint)

    def _max_output(self, question: Question) -> int:
        return min(question.max_output_tokens or self._llm.max_output_tokens, self._llm.max_output_tokens)

    def _messages(
        self, prompt: PromptVersion, question: Question, passages: Sequence[Passage]
    ) -> tuple[list[Message], int]:
        """What is sent, and how many of the passages fit in it. Raises InvalidRequest where none does."""
        bare = render(prompt, question.text, (), question.instructions)
        room = self._profile.context_tokens - self._max_output(question) - _TEMPLATE_TOKENS
        room -= self._count(bare.system) + self._count(bare.user)
        history = recent(question.history, room // _HISTORY_SHARE, self._count)
        room -= sum(self._count(turn.text) for turn in history)
        shown = [PromptPassage.of(passage, passage.hit.chunk.text) for passage in passages]
        frames = sum(self._count(passage.source) + _FRAME_TOKENS for passage in shown)
        texts = fit([passage.text for passage in shown], room - frames, self._count)
        if not texts:
            raise InvalidRequest(
                f"The question and the instructions leave no room for passages in the context of {self.name}, "
                f"{self._profile.context_tokens} tokens. Make them shorter, or ask for a shorter answer.",
                code="context_length_exceeded",
            )
        kept = [replace(passage, text=text) for passage, text in zip(shown, texts, strict=False)]
        asked = render(prompt, question.text, kept, question.instructions)
        turns = [Message(turn.role, turn.text) for turn in history]
        rules = f"{asked.system}\n\n{FORMAT}" if self._constrained else asked.system
        return [Message("system", rules), *turns, Message("user", asked.user)], len(kept)


def _drafted(
    draft: Draft, outgoing: OutgoingFilter, parts: Sequence[str | Marker], *, ended: bool = False
) -> Iterator[TextDelta | CitationAdded]:
    """Add what may leave of `parts` to the draft; a marker is for all text before it, so nothing is held back there."""
    for part in parts:
        if isinstance(part, str):
            yield from draft.add(outgoing.feed(part))
        else:
            yield from draft.add(outgoing.finish())
            yield from draft.add(part)
    if ended:
        yield from draft.add(outgoing.finish())
