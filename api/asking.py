"""From a question to an answer: which answerer and stores are meant, what is found, what is answered, what is kept."""

import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from api import prompting
from api.prompting import Place, PromptRef
from api.response_draft import AskEvent, Searched
from api.state import State
from api.store_policy import store_policy
from api.wire.chat import ChatCreate
from api.wire.file_search import FileSearchTool
from api.wire.filters import to_filter
from api.wire.responses import ResponseCreate
from api.wire.search import RankingOptions
from generation.condense import Standalone
from generation.model import Answer, Answered, Question
from generation.profile import profile_of
from generation.settings import GenerationSettings, LlmSettings
from indexes.catalog import responses, stores
from indexes.errors import InvalidRequest, Unavailable
from indexes.ids import Kind, new_id
from indexes.model import Hit
from retrieval.query import Query


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers, from what, and to whom as far as the app says."""

    answerer: str
    store_ids: tuple[str, ...]
    tool: FileSearchTool | None
    session: str | None = None
    prompt: PromptRef | None = None


@dataclass(slots=True)
class Record:
    """What made one answer, collected while it is made (I11): ids, hashes, scores and timings."""

    project: str
    id: str = field(default_factory=lambda: new_id(Kind.TRACE))
    earlier: frozenset[str] = frozenset()
    hits: Sequence[Hit] = ()
    answer: Answer | None = None
    standalone: Standalone | None = None
    replay_of: str | None = None
    condense_ms: float = 0.0
    retrieve_ms: float = 0.0
    answer_ms: float = 0.0

    @property
    def sources(self) -> set[str]:
        """The revisions that the answer was made from, those of the answers it continues included."""
        return {hit.chunk.revision_id for hit in self.hits} | self.earlier


async def target(
    state: State, project: str, request: ResponseCreate | ChatCreate, prompt: PromptRef | None = None
) -> Target:
    """Read `model`, which may be `{answerer}@{store}`, and the tool.

    Raises InvalidRequest where no store is named, where one index version is named for several, and where a prompt is
    named for an answerer that uses none.
    """
    name, at, named = (request.model or "").partition("@")
    answerer = state.answering.check(name)
    if prompt is not None and not state.answering.is_prompted(answerer):
        raise InvalidRequest(
            f"{answerer} quotes documents and uses no prompt. Name a language model, or leave the prompt out.",
            param="prompt",
        )
    tool = request.tools[0] if request.tools else None
    if at:
        async with state.database.read() as session:
            store_ids: tuple[str, ...] = ((await stores.named(session, project, named)).id,)
        return Target(answerer, store_ids, tool, request.session, prompt)
    return Target(answerer, _stores_of(tool), tool, request.session, prompt)


def _stores_of(tool: FileSearchTool | None) -> tuple[str, ...]:
    if tool is None:
        raise InvalidRequest(
            "No vector store is named. Send tools=[{'type': 'file_search', 'vector_store_ids': ['vs_…']}], or name the "
            "store in the model: 'extractive@vs_…'.",
            code="missing_required_parameter",
            param="tools",
        )
    store_ids = tuple(dict.fromkeys(tool.vector_store_ids))
    if tool.index_version is not None and len(store_ids) > 1:
        raise InvalidRequest(
            "An index version is of one vector store: name only that in `vector_store_ids`, or leave the version out.",
            param="tools[0].index_version",
        )
    return store_ids


async def keep_trace(state: State, where: Target, question: Question, record: Record) -> None:
    """Store what made the answer."""
    async with state.database.write() as session:
        body = _trace(state.settings.generation, where, question, record)
        await responses.trace(session, record.project, record.id, body)


async def ask(state: State, where: Target, question: Question, record: Record) -> AsyncGenerator[AskEvent, None]:
    """Search, then answer; `record` is filled on the way. Past capacity the first event raises Overloaded."""
    async with state.capacity:
        query, question = await _prepared(state, where, question, record)
        await _search(state, where, query, record)
        yield Searched(query.queries, tuple(record.hits))
        searched = time.perf_counter()
        async with aclosing(state.answering.answer(where.answerer, question, record.hits)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    record.answer = event.answer
                    record.answer_ms = (time.perf_counter() - searched) * 1e3
                    await _still_there(state, record)
                    await keep_trace(state, where, question, record)
                yield event


async def _prepared(state: State, where: Target, question: Question, record: Record) -> tuple[Query, Question]:
    """What to search for; and the question as it stands without its history, with its prompt and what its stores want
    of an answer."""
    begun = time.perf_counter()
    question = await _condensed(state, where, question, record)
    record.condense_ms = (time.perf_counter() - begun) * 1e3
    policy = await store_policy(state, record.project, where.store_ids)
    query = _query(state, where, question)
    return query, replace(
        question,
        answer_precision=policy.answer_precision,
        orders=policy.orders,
        filtered=query.where is not None,
    )


async def _search(state: State, where: Target, query: Query, record: Record) -> None:
    """The best hits of all stores."""
    begun = time.perf_counter()
    results = [await state.searcher.search(record.project, one, query) for one in where.store_ids]
    found = [hit for result in results for hit in result.hits]
    record.hits = sorted(found, key=lambda hit: -hit.scores.final)[: query.limit]
    record.retrieve_ms = (time.perf_counter() - begun) * 1e3


async def _condensed(state: State, where: Target, question: Question, record: Record) -> Question:
    """The question with the prompt that it is answered by, and as it stands without its history."""
    if not state.answering.is_prompted(where.answerer):
        record.standalone = await state.answering.standalone(where.answerer, question)
        return replace(question, standalone=_other(record.standalone, question))
    # Several stores may disagree: what is in force in the project decides.
    place = Place(record.project, where.store_ids[0] if len(where.store_ids) == 1 else None)
    prompts = await prompting.chosen(state, place, where.prompt)
    record.standalone = await state.answering.standalone(where.answerer, question, prompts.condense)
    return replace(question, prompt=prompts.answer, standalone=_other(record.standalone, question))


def _other(made: Standalone, question: Question) -> str | None:
    return made.text if made.text != question.text else None


async def _still_there(state: State, record: Record) -> None:
    """A delete that returned while this was answered must not be followed by the deleted text (I4)."""
    async with state.database.read() as session:
        if not await responses.alive(session, record.sources):
            raise Unavailable(
                "A document that this answer was made from has been deleted meanwhile. Ask again.",
                code="source_deleted",
            )


def _query(state: State, where: Target, question: Question) -> Query:
    tool = where.tool
    options = (tool.ranking_options if tool else None) or RankingOptions()
    weights = options.hybrid_search
    return Query(
        queries=(question.standalone or question.text,),
        limit=(tool.max_num_results if tool else None) or state.settings.generation.max_passages,
        where=to_filter(tool.filters) if tool else None,
        score_threshold=options.score_threshold or 0.0,
        dense_weight=weights.embedding_weight if weights else None,
        lexical_weight=weights.text_weight if weights else None,
        index_version=tool.index_version if tool else None,
        snapshot=tool.snapshot if tool else None,
        sticky_key=where.session,
    )


def _trace(settings: GenerationSettings, where: Target, question: Question, record: Record) -> dict[str, Any]:
    """What a trace keeps: `llm` is the model behind the answerer, as its server calls it, with all its parameters."""
    answer, made = record.answer, record.standalone
    assert answer is not None
    llm = next((one for one in settings.llms if one.name == where.answerer), None)
    return {
        "question_sha256": hashlib.sha256(question.text.encode()).hexdigest(),
        "store_ids": list(where.store_ids),
        "index_versions": sorted({hit.index_version for hit in record.hits}),
        "snapshot": where.tool.snapshot if where.tool else None,
        "answerer": where.answerer,
        "model": answer.model,
        "prompt_version": answer.prompt_version,
        "fallback": answer.fallback,
        "llm": llm and _sampling(llm, question),
        "condense": made
        and {
            "by": made.by,
            "search_sha256": hashlib.sha256(made.text.encode()).hexdigest(),
            "prompt_version": made.prompt_version,
            "input_tokens": made.usage.input_tokens,
            "output_tokens": made.usage.output_tokens,
            "ms": record.condense_ms,
        },
        "replay_of": record.replay_of,
        "unsupported": question.unsupported,
        "answer_precision": question.answer_precision,
        "orders": question.orders,
        "hits": [
            {"chunk_id": hit.chunk.id, "revision_id": hit.chunk.revision_id, "fused": hit.scores.fused}
            for hit in record.hits
        ],
        "citations": [
            {"chunk_id": one.passage.hit.chunk.id, "start": one.source_start, "end": one.source_end}
            for one in answer.citations
        ],
        "abstained": answer.abstained,
        "confidence": answer.confidence,
        "answer_sha256": hashlib.sha256(answer.text.encode()).hexdigest(),
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "retrieve_ms": record.retrieve_ms,
        "answer_ms": record.answer_ms,
    }


def _sampling(llm: LlmSettings, question: Question) -> dict[str, Any]:
    return {
        "model": llm.model,
        "citations": profile_of(llm).citations,
        "temperature": llm.temperature if question.temperature is None else question.temperature,
        "top_p": question.top_p,
        "max_output_tokens": min(question.max_output_tokens or llm.max_output_tokens, llm.max_output_tokens),
    }
