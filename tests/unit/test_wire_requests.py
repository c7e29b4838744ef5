"""What requests may say, how it becomes domain values, and the sentence that refuses the rest."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api import errors
from api.middleware import middleware
from api.wire.chat import ChatCreate
from api.wire.chunking import ChunkingStrategyIn, from_chunking, to_chunking
from api.wire.file_batches import FileBatchCreate
from api.wire.filters import Filters, to_filter
from api.wire.golden_sets import GoldenSetCreate
from api.wire.responses import ResponseCreate
from api.wire.search import SearchRequest
from api.wire.vector_store_files import VectorStoreFileCreate
from api.wire.vector_stores import VectorStoreCreate
from generation.model import Turn
from indexes.filters import AllOf, Comparison, Operator
from indexes.manifest import Chunking

MODELS = {
    "responses": ResponseCreate,
    "chat": ChatCreate,
    "search": SearchRequest,
    "stores": VectorStoreCreate,
    "files": VectorStoreFileCreate,
    "batches": FileBatchCreate,
}
TOOL = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def _app() -> FastAPI:
    app = FastAPI(middleware=middleware(max_json_bytes=100_000))
    errors.install(app)
    for name, model in MODELS.items():

        def route(body: model) -> dict[str, bool]:  # type: ignore[valid-type]
            return {"ok": True}

        app.post(f"/{name}")(route)
    return app


APP = _app()


async def _post(path: str, body: Any) -> Response:
    async with AsyncClient(transport=ASGITransport(APP), base_url="http://test") as client:
        return await client.post(path, json=body)


@pytest.mark.parametrize(
    ("path", "body", "code", "param", "says"),
    [
        ("/search", {}, "missing_required_parameter", "query", "Add it"),
        ("/search", {"query": "x", "top_k": 3}, "unknown_parameter", "top_k", "not a known field"),
        (
            "/search",
            {"query": "x", "max_num_results": 51},
            "invalid_value",
            "max_num_results",
            "equal to 50, but is 51",
        ),
        ("/search", {"query": "x", "max_num_results": "many"}, "invalid_type", "max_num_results", "but is 'many'"),
        ("/search", {"query": ""}, "invalid_value", "query", "at least 1 character"),
        ("/search", {"query": 7}, "invalid_type", "query", "must be a valid string or a valid list, but is 7"),
        ("/search", {"query": "a\x00b"}, "invalid_value", "query", "U+0000"),
        ("/search", {"query": ["ok", 7]}, "invalid_type", "query[1]", "valid string"),
        (
            "/search",
            {"query": "x", "filters": {"type": "like", "key": "a", "value": 1}},
            "invalid_value",
            "filters",
            "'like'",
        ),
        ("/search", {"query": "x", "filters": {"key": "a"}}, "invalid_type", "filters", "with a `type`"),
        (
            "/search",
            {"query": "x", "filters": {"type": "and", "filters": [{"type": "in", "key": "a", "value": 1}]}},
            "invalid_value",
            "filters.filters[0]",
            "a list of values",
        ),
        ("/search", [], "invalid_type", None, "JSON object"),
        ("/stores", {"metadata": {"k" * 65: "v"}}, "invalid_value", None, "at most 64"),
        ("/stores", {"metadata": {str(n): "v" for n in range(17)}}, "invalid_value", "metadata", "at most 16"),
        (
            "/stores",
            {"expires_after": {"anchor": "last_active_at", "days": 0}},
            "invalid_value",
            "expires_after.days",
            "equal to 1, but is 0",
        ),
        ("/files", {"file_id": "f", "key": "a\nb"}, "invalid_value", "key", "control characters"),
        ("/files", {"file_id": "f", "attributes": {"a": "v" * 513}}, "invalid_value", "attributes.a", "at most 512"),
        (
            "/files",
            {
                "file_id": "f",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
                },
            },
            "invalid_value",
            "chunking_strategy.static",
            "here 50",
        ),
        ("/files", {"file_id": "f", "attributes": {"a": None}}, "invalid_type", "attributes.a", "or a valid number"),
        ("/responses", {"input": []}, "invalid_value", "input", "at least 1 item"),
        ("/batches", {}, "invalid_value", None, "either `file_ids` or `files`"),
        ("/batches", {"file_ids": ["f"] * 2001}, "invalid_value", "file_ids", "at most 2000"),
        (
            "/batches",
            {"files": [{"file_id": "f", "name": "n"}]},
            "unknown_parameter",
            "files[0].name",
            "not a known field",
        ),
        (
            "/responses",
            {"input": "q", "tools": [{"type": "web_search"}]},
            "unsupported_parameter",
            "tools[0].type",
            "file_search",
        ),
        (
            "/responses",
            {"input": "q", "tools": [{"type": "file_search"}]},
            "missing_required_parameter",
            "tools[0].vector_store_ids",
            "Add it",
        ),
        ("/responses", {"input": "q", "background": True}, "unsupported_parameter", "background", "`stream`"),
        (
            "/responses",
            {"input": "q", "text": {"format": {"type": "json_schema"}}},
            "unsupported_parameter",
            "text.format",
            "plain text",
        ),
        (
            "/responses",
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "invalid_value",
            "input[0].content[0]",
            "'input_text'",
        ),
        (
            "/responses",
            {"input": [{"type": "function_call_output"}]},
            "unsupported_parameter",
            "input[0]",
            "send messages",
        ),
        ("/responses", {"input": "q", "temperature": 3}, "invalid_value", "temperature", "equal to 2"),
        ("/chat", {"messages": [{"role": "tool", "content": "x"}]}, "invalid_value", "messages[0]", "`role`"),
        ("/chat", {"messages": [{"role": "user", "content": "q"}], "n": 2}, "unsupported_parameter", "n", "send 1"),
        (
            "/chat",
            {"messages": [{"role": "user", "content": "q"}], "logprobs": True},
            "unsupported_parameter",
            "logprobs",
            "log prob",
        ),
    ],
)
async def test_a_refusal_names_the_field_and_what_to_do(
    path: str, body: Any, code: str, param: str | None, says: str
) -> None:
    reply = await _post(path, body)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"]) == (400, "invalid_request_error", code), error
    assert says in error["message"], error
    if param is not None:
        assert error["param"] == param
    assert "Input should" not in error["message"]


@pytest.mark.parametrize(
    "body",
    [b'{"query": "\\ud800"}', b'{"query": "x", "\\ud800": 1}', b'{"query": "x", "filters": {"type": "\\ud800"}}'],
)
async def test_half_a_surrogate_pair_is_refused_where_it_stands(body: bytes) -> None:
    async with AsyncClient(transport=ASGITransport(APP), base_url="http://test") as client:
        reply = await client.post("/search", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text


async def test_what_official_clients_send_is_accepted() -> None:
    response = {
        "model": "extractive",
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who?"}]},
            {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["Who?"], "results": None},
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Ada.", "annotations": [{"any": 1}], "logprobs": []}],
            },
            {"role": "user", "content": "When?"},
        ],
        "tools": [{**TOOL, "max_num_results": 5, "ranking_options": {"ranker": "auto", "score_threshold": 0.1}}],
        "include": ["file_search_call.results"],
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "stream": True,
        "truncation": "auto",
        "service_tier": "auto",
        "background": False,
    }
    chat = {
        "model": "extractive@help",
        "messages": [
            {"role": "assistant", "content": "Ada.", "refusal": None, "tool_calls": None, "annotations": []},
            {"role": "user", "content": [{"type": "text", "text": "When?"}]},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "presence_penalty": 0,
        "logprobs": False,
        "response_format": {"type": "text"},
        "tools": [TOOL],
    }
    assert (await _post("/responses", response)).json() == {"ok": True}
    assert (await _post("/chat", chat)).json() == {"ok": True}
    question = ResponseCreate.model_validate(response).to_question([Turn("user", "Hello")])
    assert (question.text, question.instructions) == ("When?", "Be brief.")
    assert [turn.text for turn in question.history] == ["Hello", "Who?", "Ada."]
    assert ChatCreate.model_validate(chat).to_question().history == (Turn("assistant", "Ada."),)


def test_both_forms_of_a_batch_are_one() -> None:
    together = FileBatchCreate.model_validate({"file_ids": ["a", "b"], "attributes": {"n": 1}})
    apart = FileBatchCreate.model_validate({"files": [{"file_id": file, "attributes": {"n": 1.0}} for file in "ab"]})
    assert together.attachments() == apart.attachments()


def test_filters_become_the_domain_tree_with_types_kept() -> None:
    tree = {
        "type": "and",
        "filters": [
            {"type": "eq", "key": "public", "value": True},
            {"type": "in", "key": "year", "value": [2024, "x"]},
        ],
    }
    assert to_filter(TypeAdapter(Filters).validate_python(tree)) == AllOf(
        (Comparison("public", Operator.EQ, True), Comparison("year", Operator.IN, (2024.0, "x")))
    )


def test_a_filter_that_is_too_deep_is_refused() -> None:
    tree: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(8):
        tree = {"type": "and", "filters": [tree]}
    with pytest.raises(ValidationError, match="nested 9 deep"):
        TypeAdapter(Filters).validate_python(tree)


@given(size=st.integers(100, 4096), part=st.floats(0, 0.5))
def test_chunking_survives_the_wire(size: int, part: float) -> None:
    chunking = Chunking(size, int(size * part))
    wire = from_chunking(chunking).model_dump()
    assert to_chunking(TypeAdapter(ChunkingStrategyIn).validate_python(wire)) == chunking


@pytest.mark.parametrize(
    ("path", "field"),
    [("/responses", "max_output_tokens"), ("/responses", "max_tool_calls"), ("/chat", "max_completion_tokens")],
)
async def test_numbers_that_are_kept_are_bounded(path: str, field: str) -> None:
    said = {"input": "q"} if path == "/responses" else {"messages": [{"role": "user", "content": "q"}]}
    reply = await _post(path, {**said, field: 2**64})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "field",
    ["stream", "store", "include", "truncation", "parallel_tool_calls", "background", "tools", "tool_choice", "text"],
)
async def test_null_stands_for_the_default_of_a_response(field: str) -> None:
    assert (await _post("/responses", {"input": "q", field: None})).status_code == 200
    assert (await _post("/responses", {"input": None, field: None})).status_code == 400


@pytest.mark.parametrize("field", ["n", "stream", "tools", "tool_choice", "parallel_tool_calls"])
async def test_null_stands_for_the_default_of_a_chat(field: str) -> None:
    said = {"messages": [{"role": "user", "content": "q"}]}
    assert (await _post("/chat", {**said, field: None})).status_code == 200


def test_golden_sets_are_storable() -> None:
    for query in (
        {"id": "\ud800", "query": "q", "relevant": {"keys": ["a"]}},
        {"id": "a", "query": "\ud800", "relevant": {"keys": ["a"]}},
        {"id": "a", "query": "q", "relevant": {"keys": ["\ud800"]}},
        {"id": "a", "query": "q", "relevant": {"chunks": {"\ud800": 1}}},
    ):
        with pytest.raises(ValidationError, match="surrogates"):
            GoldenSetCreate.model_validate({"name": "g", "queries": [query]})
