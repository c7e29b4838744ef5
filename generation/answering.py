"""The use case behind `/v1/responses` and `/v1/chat/completions`: a question and ranked hits become a cited answer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

from generation.budget import estimate_tokens
from generation.chat_server import ChatServer
from generation.cite import Pages, holds
from generation.condense import Condenser, Standalone, by_rule
from generation.even_handed import EvenHandedAnswerer
from generation.extractive import ExtractiveAnswerer
from generation.llm_answerer import LlmAnswerer
from generation.metered import Ledger, metered
from generation.model import (
    Answer,
    Answered,
    Answerer,
    AnswerEvent,
    Citation,
    CitationAdded,
    Passage,
    Question,
)
from generation.profile import profile_of
from generation.prompt import seed
from generation.prompt_version import PromptVersion
from generation.replicas import Replicas
from generation.screening import screen
from generation.settings import GenerationSettings, LlmSettings
from generation.support import AlignmentJudge, Embed, LearnedJudge
from generation.tokens import counter
from generation.verified import VerifiedAnswerer
from generation.verify import Verifier
from indexes.embedders.models import Models
from indexes.errors import CitewellError, NotFound, SettingsError, Unavailable
from indexes.model import Hit, Vector
from indexes.reranker import SharedReranker

log = logging.getLogger(__name__)


class Answering:
    """Answers with any of the answerers that were built at start; the default must be one of them.

    `violations` counts citations whose quote was not where they said (I10): they are never passed on, and there must
    never be one. `pages` finds the page of a quote from a chunk that is printed on several; without it, they have none.
    """

    def __init__(
        self,
        answerers: Mapping[str, Answerer],
        settings: GenerationSettings,
        condensers: Mapping[str, Condenser] | None = None,
        pages: Pages | None = None,
    ) -> None:
        if settings.default_answerer not in answerers:
            raise SettingsError(
                f"generation.default_answerer: there is no {settings.default_answerer!r}. "
                f"Use one of: {', '.join(answerers)}."
            )
        self._answerers = dict(answerers)
        self._settings = settings
        self._condensers = dict(condensers or {})
        self._pages = pages
        self.violations = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: GenerationSettings,
        models: Models | None = None,
        judge: SharedReranker | None = None,
        ledger: Ledger | None = None,
        pages: Pages | None = None,
    ) -> AsyncIterator["Answering"]:
        """Build every answerer that the settings name, and close its connections at the end.

        No server is contacted yet. `models` embeds sentences; without it, words alone decide which are quoted. `judge`
        verifies in place of the embeddings, and stays the caller's. `ledger` keeps what budgets are held against.
        `pages` is as in the class.
        Raises SettingsError where names clash or the default is not among them.
        """
        embed = _embed_with(models) if models else None
        answerers: dict[str, Answerer] = {ExtractiveAnswerer.name: ExtractiveAnswerer(settings, embed)}
        condensers: dict[str, Condenser] = {}
        verifier = Verifier(LearnedJudge(judge) if judge else AlignmentJudge(embed))
        async with AsyncExitStack() as stack:
            for llm in settings.llms:
                if llm.name in answerers:
                    raise SettingsError(f"generation.llms: the name {llm.name!r} is taken. Give each model its own.")
                client = metered(llm.name, language_model(llm), llm.tokens_per_day, ledger)
                stack.push_async_callback(client.aclose)
                count = await asyncio.to_thread(counter, llm.tokenizer) if llm.tokenizer else estimate_tokens
                answerer = LlmAnswerer(llm, settings, client, seed(), count=count)
                verified = VerifiedAnswerer(answerer, verifier, settings.unsupported)
                answerers[llm.name] = EvenHandedAnswerer(verified)
                condensers[llm.name] = Condenser(llm.name, client, profile_of(llm).context_tokens, count)
            yield cls(answerers, settings, condensers, pages)

    @property
    def default(self) -> str:
        """Who answers where nobody is named."""
        return self._settings.default_answerer

    @property
    def names(self) -> tuple[str, ...]:
        """All answerers, the default first."""
        return (self.default, *(name for name in self._answerers if name != self.default))

    def check(self, name: str) -> str:
        """The answerer of that name, the default for an empty one. Raises NotFound, naming those there are."""
        name = name or self.default
        if name not in self._answerers:
            raise NotFound(
                f"There is no model {name!r}. Use one of: {', '.join(self.names)}.",
                code="model_not_found",
                param="model",
            )
        return name

    def is_prompted(self, name: str) -> bool:
        """Whether the answerer of that name asks a language model, by prompts."""
        return name in self._condensers

    async def standalone(self, name: str, question: Question, prompt: PromptVersion | None = None) -> Standalone:
        """The question as it stands without its history: by the model of that name and `prompt`, or by a rule."""
        if not question.history:
            return Standalone(question.text)
        if not self.is_prompted(name):
            return by_rule(question.text, question.history)
        return await self._condensers[name].condense(question, prompt or seed("condense"))

    async def answer(self, name: str, question: Question, hits: Sequence[Hit]) -> AsyncGenerator[AnswerEvent, None]:
        """Stream the answer of the answerer `name` from the best of `hits`, which come best first.

        Raises as `check` and `Answerer` do. Close the iterator to stop the work.
        """
        name = self.check(name)
        best = hits[: self._settings.max_passages]
        passages, suspects = await asyncio.to_thread(screen, best, question.orders or self._settings.orders)
        if best and not passages:
            question = replace(question, filtered=True)
        async with aclosing(self._answer(name, question, passages)) as events:
            async for event in events:
                yield Answered(replace(event.answer, suspects=suspects)) if isinstance(event, Answered) else event

    async def _answer(
        self, name: str, question: Question, passages: Sequence[Passage]
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The answer of `name`, or quotes where its server does not begin to answer."""
        started, reason = False, ""
        try:
            async with aclosing(self._checked(self._answerers[name], question, passages)) as events:
                async for event in events:
                    started = True
                    yield event
        except Unavailable as error:
            if started or name == ExtractiveAnswerer.name or not self._settings.fallback_to_extractive:
                raise
            log.warning("%s is unavailable, quoting the documents instead: %s", name, error.message)
            reason = error.message
        if not reason:
            return
        async with aclosing(self._checked(self._answerers[ExtractiveAnswerer.name], question, passages)) as events:
            async for event in events:
                yield Answered(replace(event.answer, fallback=reason)) if isinstance(event, Answered) else event

    async def _checked(
        self, answerer: Answerer, question: Question, passages: Sequence[Passage]
    ) -> AsyncGenerator[AnswerEvent, None]:
        if answerer.name == ExtractiveAnswerer.name:
            question = replace(question, text=question.standalone or question.text)  # it reads no history
        async with aclosing(answerer.answer(question, passages)) as events:
            async for event in events:
                match event:
                    case CitationAdded(citation) if not holds(citation):
                        self.violations += 1
                        log.error("A citation of chunk %s does not hold.", citation.passage.hit.chunk.id)
                    case CitationAdded(citation):
                        yield CitationAdded(await self._on_page(citation))
                    case Answered(answer):
                        answer = _without_false(answer)
                        citations = tuple([await self._on_page(one) for one in answer.citations])
                        yield Answered(replace(answer, citations=citations, search_query=question.standalone))
                    case _:
                        yield event

    async def _on_page(self, citation: Citation) -> Citation:
        """The citation with the page where its quote begins, even where its chunk is printed on several."""
        chunk = citation.passage.hit.chunk
        if self._pages is None or chunk.span.page_start == chunk.span.page_end:
            return citation
        try:
            page = await self._pages.page(chunk.revision_id, citation.source_start)
        except CitewellError as error:
            log.warning("A citation of chunk %s is without its page: %s", chunk.id, error.message)
            return citation
        return replace(citation, page=page)


def language_model(llm: LlmSettings) -> Replicas:
    """The model on all its servers. No server is contacted yet; `aclose` it."""
    servers = [ChatServer(llm, base_url) for base_url in llm.base_urls]
    return Replicas(llm.name, servers, llm.max_concurrency, llm.rest_s)


def _embed_with(models: Models) -> Embed:
    """By the model of new stores, which is loaded in any case; question and sentences alike as queries."""

    async def embed(texts: Sequence[str]) -> Vector:
        return await (await models.named(models.names[0])).queries(texts)

    return embed


def _without_false(answer: Answer) -> Answer:
    """The answer with only those citations that hold, and its sentences pointing at them."""
    kept = [at for at, citation in enumerate(answer.citations) if holds(citation)]
    if len(kept) == len(answer.citations):
        return answer
    place = {old: new for new, old in enumerate(kept)}
    sentences = tuple(
        replace(sentence, citations=tuple(place[at] for at in sentence.citations if at in place))
        for sentence in answer.sentences
    )
    return replace(answer, citations=tuple(answer.citations[at] for at in kept), sentences=sentences)
