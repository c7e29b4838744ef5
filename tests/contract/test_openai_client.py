"""The official client runs unchanged against a running service, over HTTP, with the default embedding model."""

import io
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import VectorStore


@pytest.fixture(scope="module")
def client(service: Any) -> OpenAI:
    return service.openai()


@pytest.fixture(scope="module")
def store(client: OpenAI, handbook: Path) -> VectorStore:
    """A store that holds the handbook."""
    made = client.vector_stores.create(name="handbook", metadata={"owner": "people"})
    paths = sorted(path for path in handbook.rglob("*") if path.is_file())
    uploaded = [client.files.create(file=path, purpose="assistants") for path in paths]
    files = [
        {"file_id": file.id, "key": str(path.relative_to(handbook)), "attributes": {"area": path.parent.name, "n": n}}
        for n, (file, path) in enumerate(zip(uploaded, paths, strict=True))
    ]
    batch = client.vector_stores.file_batches.create(made.id, files=files)  # type: ignore[arg-type]
    batch = client.vector_stores.file_batches.poll(batch.id, vector_store_id=made.id, poll_interval_ms=100)
    assert (batch.status, batch.file_counts.completed) == ("completed", len(paths))
    return client.vector_stores.retrieve(made.id)


def canonical(client: OpenAI, store_id: str, file_id: str) -> str:
    return "".join(part.text or "" for part in client.vector_stores.files.content(file_id, vector_store_id=store_id))


def test_files_are_kept_as_they_came(client: OpenAI) -> None:
    made = client.files.create(file=("notes.txt", b"Exactly these bytes.\r\n"), purpose="user_data")
    assert (made.filename, made.bytes, made.status, made.purpose) == ("notes.txt", 22, "processed", "user_data")
    assert client.files.retrieve(made.id).id == made.id
    assert client.files.content(made.id).read() == b"Exactly these bytes.\r\n"
    assert made.id in [file.id for file in client.files.list(purpose="user_data")]
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_upload_and_poll(client: OpenAI) -> None:
    store = client.vector_stores.create(name="one")
    body = io.BytesIO(b"# Tea\n\nThe tea is served at five o'clock in the blue room.\n")
    body.name = "tea.md"
    done = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=body)
    assert (done.status, done.last_error) == ("completed", None)
    found = client.vector_stores.search(store.id, query="When is tea served?")
    assert "five o'clock" in found.data[0].content[0].text
    assert client.vector_stores.delete(store.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.search(store.id, query="tea")


def test_file_batches_upload_and_poll(client: OpenAI, handbook: Path) -> None:
    store = client.vector_stores.create(name="batch")
    paths = sorted(handbook.rglob("*.md"))
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=paths)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", len(paths), len(paths))
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    assert {file.status for file in listed} == {"completed"}
    client.vector_stores.delete(store.id)


def test_lists_page_to_the_end(client: OpenAI, store: VectorStore) -> None:
    total = store.file_counts.total
    for order in ("asc", "desc"):
        listed = [file.id for file in client.vector_stores.files.list(store.id, limit=2, order=order)]  # type: ignore[arg-type]
        assert len(listed) == len(set(listed)) == total
    assert store.id in [one.id for one in client.vector_stores.list(limit=1)]


def test_search_finds_by_meaning_and_by_identifier(client: OpenAI, store: VectorStore) -> None:
    by_meaning = client.vector_stores.search(store.id, query="how many vacation days do I get?").data[0]
    assert by_meaning.filename == "leave.md"
    assert by_meaning.key == "hr/leave.md"  # type: ignore[attr-defined]
    by_code = client.vector_stores.search(store.id, query="ERR_DISK_17", max_num_results=1).data
    assert [hit.filename for hit in by_code] == ["laptops.md"]
    text = canonical(client, store.id, by_meaning.file_id)
    assert text[by_meaning.start : by_meaning.end] == by_meaning.content[0].text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("filters", "areas"),
    [
        ({"type": "eq", "key": "area", "value": "it"}, {"it"}),
        ({"type": "ne", "key": "area", "value": "it"}, {"hr", "handbook"}),
        ({"type": "in", "key": "area", "value": ["hr", "it"]}, {"hr", "it"}),
        ({"type": "nin", "key": "area", "value": ["hr", "it"]}, {"handbook"}),
        ({"type": "gte", "key": "n", "value": 100}, set()),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "and", "filters": [{"type": "eq", "key": "area", "value": "hr"}]},
                    {"type": "eq", "key": "area", "value": "it"},
                ],
            },
            {"hr", "it"},
        ),
    ],
)
def test_filters(client: OpenAI, store: VectorStore, filters: Any, areas: set[str]) -> None:
    hits = client.vector_stores.search(store.id, query="the office", filters=filters, max_num_results=50).data
    assert {(hit.attributes or {})["area"] for hit in hits} == areas


def test_a_filter_sees_changed_attributes_at_once(client: OpenAI, store: VectorStore) -> None:
    file = client.vector_stores.files.list(store.id).data[0]
    before = file.attributes
    client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"area": "moved"})
    moved = {"type": "eq", "key": "area", "value": "moved"}
    found = client.vector_stores.search(store.id, query="anything", filters=moved).data  # type: ignore[arg-type]
    assert {hit.file_id for hit in found} == {file.id}
    client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes=before)


def test_an_answer_quotes_its_evidence(client: OpenAI, store: VectorStore) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
    reply = client.responses.create(
        model="extractive",
        input="How many days of annual leave do full-time employees receive?",
        tools=tools,
        include=["file_search_call.results"],
    )
    assert (reply.status, reply.abstained) == ("completed", False)  # type: ignore[attr-defined]
    assert "27 days" in reply.output_text
    call, message = reply.output
    assert call.type == "file_search_call" and call.results
    annotations: Any = message.content[0].annotations  # type: ignore[union-attr]
    assert annotations
    for cited in annotations:
        text = canonical(client, store.id, cited.file_id)
        assert text[cited.source_start : cited.source_end] == cited.quote
        assert 0 <= cited.index <= len(reply.output_text)
    again = client.responses.retrieve(reply.id)
    assert again.output_text == reply.output_text
    items = client.responses.input_items.list(reply.id).data
    assert items[0].content[0].text.startswith("How many days")  # type: ignore[union-attr]
    client.responses.delete(reply.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)


def test_what_is_not_in_the_documents_is_a_field(client: OpenAI, store: VectorStore) -> None:
    reply = client.responses.create(
        model=f"extractive@{store.id}", input="What is the boiling point of tungsten in kelvin?"
    )
    assert reply.abstained is True  # type: ignore[attr-defined]
    assert reply.abstain_reason in ("no_hits", "low_confidence")  # type: ignore[attr-defined]
    assert reply.output_text


def test_a_streamed_answer_comes_in_order(client: OpenAI, store: VectorStore) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
    with client.responses.stream(model="extractive", input="When is the canteen open?", tools=tools) as stream:
        events: list[Any] = list(stream)
        final: Any = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:9] == [
        "created",
        "in_progress",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
    ]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[9:-4]) == {"output_text.delta", "output_text.annotation.added"}
    said = ""
    for event in events:  # each citation comes when its text is out
        said += event.delta if event.type == "response.output_text.delta" else ""
        assert event.type != "response.output_text.annotation.added" or event.annotation.index <= len(said)
    assert said == final.output_text
    added = [event.annotation.model_dump() for event in events if event.type == "response.output_text.annotation.added"]
    assert added == [note.model_dump() for note in final.output[1].content[0].annotations]
    assert "11:30" in final.output_text
    assert client.responses.retrieve(final.id).output_text == final.output_text


def test_a_conversation_goes_on(client: OpenAI, store: VectorStore) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
    first = client.responses.create(model="extractive", input="When is a laptop replaced?", tools=tools)
    second = client.responses.create(
        model="extractive", input="And which laptop may I take abroad?", tools=tools, previous_response_id=first.id
    )
    assert "travel laptop" in second.output_text


def test_chat_completions_carry_the_same_citations(client: OpenAI, store: VectorStore) -> None:
    question: Any = [{"role": "user", "content": "Where can bicycles be parked?"}]
    whole = client.chat.completions.create(model=f"extractive@{store.name}", messages=question)
    message = whole.choices[0].message
    assert "basement" in (message.content or "")
    asked = client.responses.create(model=f"extractive@{store.name}", input="Where can bicycles be parked?")
    notes: Any = [note.model_dump(exclude_unset=True) for note in message.annotations or ()]
    assert notes and asked.output_text == message.content
    assert notes == [note.model_dump(exclude_unset=True) for note in asked.output[1].content[0].annotations]  # type: ignore[union-attr]
    pieces = list(client.chat.completions.create(model=f"extractive@{store.name}", messages=question, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == message.content
    sent = [
        note for piece in pieces if piece.choices for note in getattr(piece.choices[0].delta, "annotations", None) or ()
    ]
    assert [dict(note) for note in sent] == notes


def test_models_begin_with_the_default_answerer(client: OpenAI, store: VectorStore) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "extractive"
    assert f"extractive@{store.name}" in names
    assert client.models.retrieve("extractive").id == "extractive"


def test_embeddings(client: OpenAI) -> None:
    made = client.embeddings.create(model="all-MiniLM-L6-v2", input=["one", "two"])
    assert len(made.data) == 2
    assert sum(number * number for number in made.data[0].embedding) == pytest.approx(1, abs=1e-4)


def test_a_newer_file_under_the_same_key_takes_over(client: OpenAI) -> None:
    store = client.vector_stores.create(name="superseding")
    for code in ("4711", "0815"):
        file = client.files.create(file=("gate.txt", f"The code of the gate is {code}.".encode()), purpose="assistants")
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    texts = [hit.content[0].text for hit in client.vector_stores.search(store.id, query="code of the gate").data]
    assert texts == ["The code of the gate is 0815."]
    assert client.vector_stores.retrieve(store.id).file_counts.total == 1


def test_what_is_deleted_is_in_no_later_answer(client: OpenAI) -> None:
    store = client.vector_stores.create(name="deleting")
    file = client.files.create(file=("secret.txt", b"The vault opens with the word marmalade."), purpose="assistants")
    client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    reply = client.responses.create(model=f"extractive@{store.id}", input="Which word opens the vault?")
    assert "marmalade" in reply.output_text
    assert client.files.delete(file.id).deleted
    assert client.vector_stores.search(store.id, query="vault").data == []
    assert "marmalade" not in client.responses.retrieve(reply.id).model_dump_json()
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)


def test_a_document_that_cannot_be_read_says_why(client: OpenAI) -> None:
    store = client.vector_stores.create(name="bad files")
    file = client.files.create(file=("empty.txt", b""), purpose="assistants")
    done = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    assert done.status == "failed"
    assert done.last_error is not None and done.last_error.code == "invalid_file"
    assert done.error["code"] == "empty_file"  # type: ignore[attr-defined]


def test_errors_are_typed(client: OpenAI, service: Any) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.vector_stores.retrieve("vs_unknown")
    assert missing.value.request_id
    with pytest.raises(openai.BadRequestError, match="nonsense"):
        client.vector_stores.create(extra_body={"nonsense": 1})
    with pytest.raises(openai.AuthenticationError):
        OpenAI(base_url=f"{service.url}/v1", api_key="cw-wrong", max_retries=0).files.list()
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="extractive", input="no store is named")
    with pytest.raises(openai.BadRequestError):
        client.vector_stores.search("vs_unknown", query="")
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="unknown@vs_unknown", input="x")


def test_the_same_request_sent_twice_makes_one_thing(client: OpenAI) -> None:
    headers = {"Idempotency-Key": f"once-{time.time()}"}
    first = client.vector_stores.create(name="once", extra_headers=headers)
    assert client.vector_stores.create(name="once", extra_headers=headers).id == first.id
    with pytest.raises(openai.ConflictError):
        client.vector_stores.create(name="another", extra_headers=headers)


def test_a_streamed_request_sent_twice_is_one_answer(client: OpenAI, store: VectorStore) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
    seen = []
    for _ in range(2):
        with client.responses.stream(
            model="extractive",
            input="When is the canteen open?",
            tools=tools,
            extra_headers={"Idempotency-Key": f"streamed-{store.id}"},
        ) as stream:
            events = [event for event in stream if not event.type.endswith("output_text.delta")]
            seen.append((events, stream.get_final_response()))
    (events, first), (again, second) = seen
    assert second.id == first.id
    assert second.output_text == first.output_text
    assert second.output[1] == first.output[1]
    assert [event.type for event in again] == [event.type for event in events]
    assert [event.sequence_number for event in again] == sorted({event.sequence_number for event in again})


def test_broken_json_and_missing_keys(service: Any) -> None:
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    broken = httpx.post(f"{service.url}/v1/vector_stores", content=b"{not json", headers=headers)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
    nobody = httpx.get(f"{service.url}/v1/files")
    assert (nobody.status_code, nobody.json()["error"]["type"]) == (401, "authentication_error")
