"""`/v1/rerank` and `/v1/embeddings` of a running service whose reranker is a real, tiny cross-encoder."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

TEXTS = ["Leave is 25 days a year.", "The canteen is open.", "Nothing.", "Leave is 25 days a year."]


@pytest.fixture(scope="module")
def reranking(tmp_path_factory: pytest.TempPathFactory, service_class: Any, tiny_cross_encoder: Path) -> Iterator[Any]:
    running = service_class(
        tmp_path_factory.mktemp("reranking") / "home",
        {
            "CITEWELL_EMBEDDING__MODEL": "hashing-256",
            "CITEWELL_RERANK__KIND": "cross_encoder",
            "CITEWELL_RERANK__MODEL": str(tiny_cross_encoder),
            "CITEWELL_RERANK__DEVICE": "cpu",
        },
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(reranking: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {reranking.key}"}
    with httpx.Client(base_url=f"{reranking.url}/v1", headers=headers, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def official(reranking: Any) -> Iterator[openai.OpenAI]:
    with reranking.openai() as made:
        yield made


@pytest.fixture(scope="module")
def model(client: httpx.Client) -> str:
    """The reranker, as `/v1/models` names it."""
    (name,) = [one["id"] for one in client.get("/models").json()["data"] if one["kind"] == "reranker"]
    return str(name)


def test_texts_come_back_best_first(client: httpx.Client, model: str) -> None:
    reply = client.post("/rerank", json={"model": model, "query": "How much leave?", "documents": TEXTS}).json()
    assert set(reply) == {"id", "model", "usage", "results"}
    assert reply["model"] == model
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] > len(TEXTS)
    scores = [one["relevance_score"] for one in reply["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert sorted(one["index"] for one in reply["results"]) == [0, 1, 2, 3]
    places = {one["index"]: place for place, one in enumerate(reply["results"])}
    assert places[3] == places[0] + 1  # equal texts have equal scores, and keep their order
    assert all(set(one) == {"index", "relevance_score"} for one in reply["results"])


def test_the_best_few_with_their_texts(client: httpx.Client, model: str) -> None:
    documents = [{"text": TEXTS[0]}, *TEXTS[1:]]
    body = {"model": model, "query": "How much leave?", "documents": documents}
    every = client.post("/rerank", json=body).json()["results"]
    best = client.post("/rerank", json={**body, "top_n": 2, "return_documents": True}).json()["results"]
    assert [one["index"] for one in best] == [one["index"] for one in every[:2]]
    assert [one["document"]["text"] for one in best] == [TEXTS[one["index"]] for one in best]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": "other"}, 404, "model"),
        ({"documents": []}, 400, "documents"),
        ({"documents": [1]}, 400, "documents[0]"),
        ({"documents": [{"text": "one", "title": "two"}]}, 400, "documents[0].title"),
        ({"query": ""}, 400, "query"),
        ({"top_n": 0}, 400, "top_n"),
        ({"rank_fields": ["text"]}, 400, "rank_fields"),
        ({"truncate_prompt_tokens": 10}, 400, "truncate_prompt_tokens"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    client: httpx.Client, model: str, change: dict[str, Any], status: int, param: str
) -> None:
    reply = client.post("/rerank", json={"model": model, "query": "q", "documents": ["d"], **change})
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


def test_a_key_is_needed(reranking: Any, model: str) -> None:
    body = {"model": model, "query": "q", "documents": ["d"]}
    assert httpx.post(f"{reranking.url}/v1/rerank", json=body).status_code == 401


def test_embeddings_as_the_official_client_asks_for_them(official: openai.OpenAI) -> None:
    client: Any = official
    texts = ["one two", "three"]
    packed = client.embeddings.create(model="hashing-256", input=texts)  # the client asks for base64 by itself
    plain = client.embeddings.create(model="hashing-256", input=texts, encoding_format="float", dimensions=256)
    raw = client.embeddings.create(model="hashing-256", input="three", encoding_format="base64").data[0].embedding
    rows = np.array([one.embedding for one in plain.data])
    assert rows.shape == (2, 256)
    np.testing.assert_allclose([one.embedding for one in packed.data], rows, atol=1e-7)
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(raw), dtype="<f4"), rows[1], atol=1e-7)
    assert (plain.usage.prompt_tokens, plain.usage.total_tokens) == (3, 3)


@pytest.mark.parametrize(
    ("change", "param", "said"),
    [
        ({"dimensions": 128}, "dimensions", "has 256 dimensions"),
        ({"input": [1, 2, 3]}, "input", "token numbers"),
        ({"input": [[1, 2], [3]]}, "input", "token numbers"),
        ({"input": []}, "input", "at least 1"),
        ({"input": ""}, "input", "at least 1"),
    ],
)
def test_embeddings_that_cannot_be_made_are_refused_by_name(
    official: openai.OpenAI, change: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        official.embeddings.create(**{"model": "hashing-256", "input": "one", **change})
    assert refusal.value.param == param
    assert said in refusal.value.message
