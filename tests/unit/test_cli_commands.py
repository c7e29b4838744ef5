"""The command line against a small server of the same wire: what is printed, and the exit codes."""

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn
from fastapi import FastAPI, Request

from api import errors as api_errors
from api.cli.ingestion import collect
from api.cli.main import main
from api.response_draft import AskEvents, ResponseDraft, Searched
from api.sse import EventStream, encode_event, response_events
from api.wire.documents import Document, DocumentDeleted
from api.wire.file_batches import FileBatch, FileBatchCreate
from api.wire.files import FileObject
from api.wire.pages import Page
from api.wire.responses import ResponseCreate
from api.wire.search import SearchPage, SearchRequest
from api.wire.vector_store_files import DocumentProblem, LastError, VectorStoreFile
from api.wire.vector_stores import FileCounts, VectorStore, VectorStoreCreate
from generation.model import Answer, Answered, Citation, CitationAdded, Passage, TextDelta, Verdict
from indexes.errors import InvalidRequest, Overloaded, TooLarge, Unauthenticated
from indexes.model import Chunk, Hit, Scores, Span
from retrieval.search import Results

TEXT = "Staff may take 25 days of leave."
HIT = Hit(
    chunk=Chunk("chunk_1", "rev_1", Span(10, 10 + len(TEXT), 0, 8, page_start=2), TEXT),
    scores=Scores(fused=0.5),
    store_id="vs_1",
    index_version="ixv_1",
    file_id="file-1",
    filename="leave.md",
    key="hr/leave.md",
    attributes={},
)


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


class Server:
    """The routes that the command line uses; documents are 'ingested' when they are attached, 'bad' ones fail."""

    def __init__(self) -> None:
        self.stores: list[VectorStore] = []
        self.files: dict[str, FileObject] = {}
        self.attached: dict[str, VectorStoreFile] = {}
        self.asked: ResponseCreate
        self.busy = 1

    def app(self) -> FastAPI:
        app = FastAPI()
        api_errors.install(app)
        app.get("/v1/vector_stores")(self.list_stores)
        app.post("/v1/vector_stores")(self.create_store)
        app.post("/v1/files")(self.upload)
        app.get("/v1/vector_stores/vs_1")(self.store)
        app.get("/v1/vector_stores/vs_1/documents")(self.documents)
        app.delete("/v1/vector_stores/vs_1/documents")(self.delete_document)
        app.post("/v1/vector_stores/vs_1/file_batches")(self.attach)
        app.get("/v1/vector_stores/vs_1/file_batches/vsfb_1")(self.batch)
        app.get("/v1/vector_stores/vs_1/file_batches/vsfb_1/files")(self.batch_files)
        app.post("/v1/vector_stores/vs_1/search")(self.search)
        app.post("/v1/responses", response_model=None)(self.respond)
        return app

    def list_stores(self, request: Request) -> Page[VectorStore]:
        if request.headers["authorization"] != "Bearer good":
            raise Unauthenticated("This key is unknown. Make one with `citewell keys create`.")
        return Page[VectorStore].of(self.stores, has_more=False)

    def create_store(self, body: VectorStoreCreate) -> VectorStore:
        store = VectorStore(
            id="vs_1",
            created_at=1,
            name=body.name or "",
            status="completed",
            usage_bytes=0,
            file_counts=FileCounts(),
            metadata={},
        )
        self.stores.append(store)
        return store

    async def upload(self, request: Request) -> FileObject:
        if self.busy:
            self.busy -= 1
            raise Overloaded("Full.", retry_after_s=0.01)
        async with request.form() as form:
            upload = form["file"]
            assert not isinstance(upload, str)
            content = await upload.read()
            if len(content) > 1000:
                raise TooLarge("The file is larger than 1000 bytes. Split it.")
            digest = hashlib.sha256(content).hexdigest()
            file = FileObject(
                id=f"file-{len(self.files)}",
                bytes=len(content),
                created_at=1,
                filename=upload.filename or "",
                purpose="assistants",
                sha256=digest,
            )
            self.files[file.id] = file
            return file

    def store(self) -> VectorStore:
        return self.stores[0]

    def documents(self) -> Page[Document]:
        newest = {file.key: file for file in self.attached.values()}
        documents = [
            Document(
                id=file.key,
                vector_store_id="vs_1",
                key=file.key,
                file_id=file.id,
                sha256=self.files[file.id].sha256,
                status=file.status,
                stage=file.stage,
            )
            for file in newest.values()
        ]
        return Page[Document].of(documents, has_more=False)

    def delete_document(self, key: str) -> DocumentDeleted:
        self.attached = {ident: file for ident, file in self.attached.items() if file.key != key}
        return DocumentDeleted(id=key)

    def attach(self, body: FileBatchCreate) -> FileBatch:
        for one in body.attachments():
            assert one.key is not None
            bad = DocumentProblem(code="encrypted_file", message="Remove the password.") if "bad" in one.key else None
            self.attached[one.file_id] = VectorStoreFile.model_validate(
                {
                    "id": one.file_id,
                    "created_at": 1,
                    "vector_store_id": "vs_1",
                    "status": "failed" if bad else "completed",
                    "usage_bytes": 0,
                    "last_error": LastError.of(bad),
                    "attributes": {},
                    "chunking_strategy": {"type": "other"},
                    "key": one.key,
                    "stage": "received" if bad else "verified",
                    "error": bad,
                    "warnings": ["Page 2 has no text."] if one.key == "leave.md" else [],
                }
            )
        return self.batch()

    def batch(self) -> FileBatch:
        return FileBatch(
            id="vsfb_1", created_at=1, vector_store_id="vs_1", status="completed", file_counts=FileCounts()
        )

    def batch_files(self) -> Page[VectorStoreFile]:
        return Page[VectorStoreFile].of(list(self.attached.values()), has_more=False)

    def search(self, body: SearchRequest) -> SearchPage:
        return SearchPage.of(Results([HIT], body.queries, HIT.index_version), explain=body.explain)

    async def respond(self, body: ResponseCreate) -> EventStream:
        self.asked = body
        draft = ResponseDraft("resp_1", "fs_1", "msg_1", 1, "extractive", body)
        return EventStream(encode_event(event) async for event in response_events(draft, _answer()))


async def _answer() -> AskEvents:
    citation = Citation(Passage(1, HIT), TEXT, 10, 10 + len(TEXT), 2, 0, 8, 8, 0.9, Verdict.SUPPORTED)
    yield Searched(("?",), (HIT,))
    yield TextDelta("25 days.")
    yield CitationAdded(citation)
    yield Answered(Answer("25 days.", "extractive", (citation,), confidence=0.9))


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    state = Server()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(state.app(), log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield state, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture
def run(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.setenv("CITEWELL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITEWELL_BASE_URL", server[1])
    monkeypatch.setenv("CITEWELL_API_KEY", "good")

    def command(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["citewell", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return Ran(int(left.value.code or 0), *capsys.readouterr())

    return command


def _folder(root: Path) -> Path:
    for name, text in {"a.md": "A", "hr/leave.md": TEXT, "hr/bad.pdf": "%PDF", "big.txt": "x" * 1001}.items():
        path = root / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "docs" / ".git").mkdir()
    (root / "docs" / ".git" / "config").write_text("hidden")
    return root / "docs"


def test_keys_are_relative_paths_and_hidden_files_stay_out(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    assert sorted(one.key for one in collect([folder])) == ["a.md", "big.txt", "hr/bad.pdf", "hr/leave.md"]
    assert [one.key for one in collect([folder / "hr" / "leave.md"])] == ["leave.md"]


def test_ingest_reports_every_document_and_leaves_the_unchanged_alone(run: Run, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    first = run("ingest", str(folder), "--store", "help", "--json")
    found = {one["key"]: one for one in map(json.loads, first.out.splitlines())}
    assert first.code == 1
    assert {key: one["status"] for key, one in found.items()} == {
        "a.md": "completed",
        "big.txt": "failed",
        "hr/bad.pdf": "failed",
        "hr/leave.md": "completed",
    }
    assert (found["big.txt"]["code"], found["hr/bad.pdf"]["message"]) == ("too_large", "Remove the password.")
    again = run("ingest", str(folder / "hr" / "leave.md"), str(folder / "hr" / "bad.pdf"), "--store", "help")
    assert again.code == 1
    assert "encrypted_file" in again.out
    (folder / "hr" / "bad.pdf").unlink()
    (folder / "big.txt").unlink()
    last = run("ingest", str(folder), "--store", "help")
    assert last.code == 0
    assert last.out.splitlines()[1:] == [
        "  bad.pdf",
        "  hr/bad.pdf",
        "  leave.md",
        "5 documents: 2 unchanged, 3 vanished.",
    ]


def test_mirror_takes_out_what_the_folders_do_not_hold(run: Run, server: tuple[Server, str], tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "big.txt").unlink()
    run("ingest", str(folder))
    (folder / "hr" / "leave.md").rename(folder / "leave.md")
    assert run("ingest", str(folder / "leave.md"), "--mirror").code == 2
    done = run("ingest", str(folder / "hr"), str(folder), "--mirror", "--json")
    assert {one["key"]: one["status"] for one in map(json.loads, done.out.splitlines())} == {
        "a.md": "completed",  # unchanged, but this small server has one batch for everything
        "bad.pdf": "failed",
        "hr/bad.pdf": "failed",
        "hr/leave.md": "deleted",
        "leave.md": "completed",
    }
    assert {file.key for file in server[0].attached.values()} == {"a.md", "bad.pdf", "hr/bad.pdf", "leave.md"}
    (folder / "leave.md").write_text("Changed.")
    assert "leave.md: Page 2 has no text." in run("ingest", str(folder / "leave.md")).out.splitlines()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_has_not_vanished(run: Run, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "hr").chmod(0)
    try:
        refused = run("ingest", str(folder), "--mirror")
    finally:
        (folder / "hr").chmod(0o700)
    assert (refused.code, "cannot be read" in refused.err) == (2, True)


def test_ask_prints_the_answer_then_its_quotes(run: Run, server: tuple[Server, str]) -> None:
    assert run("stores", "create", "help").code == 0
    asked = run("ask", "How much leave?")
    assert asked.code == 0
    assert asked.out.splitlines() == ["25 days. [1]", "[1] hr/leave.md:2:10", f"    “{TEXT}”"]
    for named, version in (("terse", None), ("terse@2", "2")):
        assert run("ask", "How much leave?", "--prompt", named).code == 0
        asked_with = server[0].asked.prompt
        assert asked_with is not None and (asked_with.id, asked_with.version) == ("terse", version)
    whole = json.loads(run("ask", "How much leave?", "--json").out)
    assert whole["output"][1]["content"][0]["annotations"][0]["quote"] == TEXT


def test_search_prints_where_each_passage_stands(run: Run) -> None:
    run("stores", "create", "help")
    assert "1. 0.500  hr/leave.md:2:10" in run("search", "leave", "--store", "help").out
    assert json.loads(run("search", "leave", "--json").out)["chunk_id"] == "chunk_1"


def test_exit_codes_tell_what_to_do(run: Run, server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("ask", "?").code == 2  # no store to ask
    assert run("ask", "?", "--store", "gone").code == 1
    assert run("ingest", "/no/such/folder").code == 2
    assert run("search").code == 2
    monkeypatch.setenv("CITEWELL_API_KEY", "bad")
    refused = run("stores", "list")
    assert (refused.code, refused.err.strip()) == (1, "This key is unknown. Make one with `citewell keys create`.")
    monkeypatch.delenv("CITEWELL_API_KEY")
    assert "admin.key" in run("stores", "list").err
    monkeypatch.setenv("CITEWELL_API_KEY", "good")
    monkeypatch.setenv("CITEWELL_BASE_URL", "http://127.0.0.1:1")
    lost = run("stores", "list")
    assert (lost.code, "citewell serve" in lost.err) == (3, True)
    monkeypatch.setenv("CITEWELL_SERVER__PORT", "http")
    assert run("config").code == 2


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CITEWELL_API_KEY", "cw-secret\nline", "Set CITEWELL_API_KEY anew"),
        ("CITEWELL_API_KEY", "cw-schlüssel", "Set CITEWELL_API_KEY anew"),
        ("CITEWELL_BASE_URL", "http://[::1", "no address"),
    ],
)
def test_what_cannot_be_a_key_or_an_address_is_said_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    code, output, errors = run("search", "vacation")
    assert code == 2
    assert said in errors
    assert "cw-s" not in output + errors


def test_what_cannot_be_sent_is_said_in_a_sentence(run: Run) -> None:
    run("stores", "create", "help")
    for command in (
        ("search", "va\udce4cation"),
        ("search", "vacation", "--filters", '{"type": "eq", "key": "n", "value": NaN}'),
    ):
        code, _, errors = run(*command)
        assert (code, "cannot be sent" in errors) == (2, True), errors


def test_config_says_where_each_value_came_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWELL_SERVER__PORT", "9090")
    knobs = {one["name"]: one for one in map(json.loads, run("config", "--json").out.splitlines())}
    assert (knobs["server.port"]["value"], knobs["server.port"]["source"]) == (
        9090,
        "environment variable CITEWELL_SERVER__PORT",
    )


def test_two_files_with_one_key_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.md").write_text(folder)
    with pytest.raises(InvalidRequest, match=r"same\.md"):
        collect([tmp_path / "a" / "same.md", tmp_path / "b" / "same.md"])
    assert len(collect([tmp_path / "a", tmp_path / "a" / "same.md"])) == 1
