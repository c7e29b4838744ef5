"""Index versions, golden sets and snapshots of a running service, as engineers and content owners use them."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.cli.main import main
from api.main import create_key
from api.settings import load
from indexes.catalog.tables import Role

ENVIRONMENT = {
    "CITEWELL_EMBEDDING__MODEL": "hashing-256",
    "CITEWELL_EMBEDDING__PRICES": '{"hashing-256": 1000000}',
    "CITEWELL_WORKER__RECONCILE_S": "0.2",
}
TOPICS = [
    "falcon",
    "harbour",
    "lantern",
    "meadow",
    "nickel",
    "orchard",
    "pepper",
    "quartz",
    "ribbon",
    "saddle",
    "tulip",
]
GOLDEN = [{"id": one, "query": f"Where is the {one}?", "relevant": {"keys": [f"{one}.txt"]}} for one in TOPICS]


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> Iterator[Any]:
    running = service_class(tmp_path_factory.mktemp("versioned") / "home", ENVIRONMENT)
    running.start()
    yield running
    running.stop()


class Api:
    """One store of a service."""

    def __init__(self, service: Any) -> None:
        headers = {"Authorization": f"Bearer {service.key}"}
        self.http = httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=60)
        self.id = self.http.post("/vector_stores", json={"name": "s", "gate": {"min_queries": 10}}).json()["id"]

    def get(self, path: str = "", **params: Any) -> dict[str, Any]:
        reply = self.http.get(f"/vector_stores/{self.id}{path}", params=params)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> dict[str, Any]:
        reply = self.http.post(f"/vector_stores/{self.id}{path}", json=body, headers=headers)
        assert reply.status_code == status, reply.text
        return dict(reply.json())

    def delete(self, path: str, status: int = 200, **params: str) -> dict[str, Any]:
        reply = self.http.delete(f"/vector_stores/{self.id}{path}", params=params)
        assert reply.status_code == status, reply.text
        return dict(reply.json())

    def put(self, **texts: str) -> dict[str, str]:
        """Upload texts under their names as keys and wait; the ids of the files."""
        ids = {}
        for name, text in texts.items():
            files = {"file": (f"{name}.txt", text.encode())}
            ids[name] = self.http.post("/files", data={"purpose": "assistants"}, files=files).json()["id"]
        self.post("/file_batches", {"file_ids": list(ids.values())})
        while self.get()["file_counts"]["in_progress"]:
            time.sleep(0.05)
        return ids

    def build(self, **wanted: Any) -> str:
        """Build a version to its end."""
        version: str = self.post("/index_versions", wanted)["id"]
        while (state := self.get(f"/index_versions/{version}"))["status"] == "building":
            time.sleep(0.05)
        assert state["status"] == "ready", state
        return version

    def search(self, query: str, status: int = 200, session: str = "", **more: object) -> list[dict[str, Any]]:
        body = {"query": query, **more}
        reply = self.post("/search", body, status, **({"x-session-id": session} if session else {}))
        return list(reply.get("data", ()))

    def first(self, query: str, **more: object) -> tuple[str, str]:
        """Key and version of the best hit."""
        hit = self.search(query, **more)[0]  # type: ignore[arg-type]
        return hit["key"], hit["index_version"]


@pytest.fixture
def empty(versioned: Any) -> Iterator[Api]:
    api = Api(versioned)
    yield api
    api.http.close()


@pytest.fixture
def store(empty: Api) -> Api:
    empty.put(**{one: f"The {one} is in room {number}." for number, one in enumerate(TOPICS)})
    return empty


def test_a_version_is_planned_built_judged_promoted_and_rolled_back(store: Api) -> None:
    documents = len(TOPICS)
    (first,) = store.get("/index_versions")["data"]
    assert (first["status"], first["counts"]) == (
        "live",
        {"files": documents, "chunks": documents, "embedded": documents, "reused": 0},
    )
    planned = store.post("/index_versions", {"ann": {"m": 24}, "dry_run": True})
    assert (planned["embedded"], planned["reused"], planned["cost"]) == (0, documents, 0)
    assert planned["manifest"]["ann"] == {"m": 24, "ef_construct": first["manifest"]["ann"]["ef_construct"]}
    cut = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    recut = store.post("/index_versions", {"chunking_strategy": cut, "dry_run": True})
    assert (recut["estimated"], recut["reused"], recut["cost"]) == (True, 0, recut["tokens"])
    assert len(store.get("/index_versions")["data"]) == 1

    begun = store.post("/index_versions", {"ann": {"m": 24}, "reason": "recall"}, **{"Idempotency-Key": "one"})
    assert begun["progress"]["total"] == documents
    again = store.post("/index_versions", {"ann": {"m": 24}, "reason": "recall"}, **{"Idempotency-Key": "one"})
    assert again["id"] == begun["id"]
    assert store.post("/index_versions", {"ann": {"m": 24}}, 409)["error"]["code"] == "version_exists"
    new = begun["id"]
    while (built := store.get(f"/index_versions/{new}"))["status"] == "building":
        time.sleep(0.05)
    assert built["counts"] == {"files": documents, "chunks": documents, "embedded": 0, "reused": documents}
    assert built["inventory_hash"] and built["ready_at"] >= built["created_at"]

    refused = store.post(f"/index_versions/{new}/promote", status=409)
    assert (refused["error"]["code"], refused["report"]["verdict"]) == ("gate_failed", "insufficient")
    golden = store.post("/golden_sets", {"name": "rooms", "queries": GOLDEN})
    assert (golden["version"], golden["query_count"]) == (1, documents)
    report = store.post("/compare", {"candidate": new, "golden_set": "rooms"})
    assert (report["verdict"], report["baseline"], report["golden_set_id"]) == ("passed", first["id"], golden["id"])
    assert [one["id"] for one in store.get("/comparisons")["data"]] == [report["id"], refused["report"]["id"]]
    (older,) = store.get("/comparisons", after=report["id"])["data"]
    assert (older["verdict"], "worse" in older) == ("insufficient", False)
    assert store.get(f"/comparisons/{report['id']}") == report

    assert store.post(f"/index_versions/{new}/promote", {"reason": "better"})["status"] == "live"
    assert (store.get()["live_index_version"], store.first("falcon")) == (new, ("falcon.txt", new))
    store.put(umbrella="The umbrella is in room 99.")
    back = store.post("/rollback", {"reason": "no"}, **{"Idempotency-Key": "back"})
    assert (back["id"], back["status"], back["counts"]["files"]) == (first["id"], "live", documents + 1)
    assert store.post("/rollback", {"reason": "no"}, **{"Idempotency-Key": "back"})["id"] == first["id"]
    assert store.first("umbrella") == ("umbrella.txt", first["id"])
    assert store.first("umbrella", index_version=new) == ("umbrella.txt", new)

    store.post(f"/index_versions/{new}/promote", {"force": True}, 400)
    store.post(f"/index_versions/{new}/promote", {"force": True, "reason": "I know"})
    store.delete(f"/index_versions/{new}", 409)
    assert store.delete(f"/index_versions/{first['id']}")["status"] == "deleted"
    store.search("falcon", 409, index_version=first["id"])
    store.post("/rollback", status=409)
    events = store.get("/history")["data"]
    assert [(one["kind"], one["forced"]) for one in events] == [
        ("deleted", False),
        ("promoted", True),
        ("rolled_back", False),
        ("promoted", False),
        ("ready", False),
        ("created", False),
    ]
    assert events[3]["comparison_id"] == report["id"] and events[3]["actor"].startswith("admin (key_")
    assert [one["reason"] for one in events] == [None, "I know", "no", "better", None, "recall"]


def test_golden_sets_have_versions_and_say_which_line_is_wrong(empty: Api) -> None:
    store = empty
    first = store.post("/golden_sets", {"name": "rooms", "queries": GOLDEN})
    assert store.post("/golden_sets", {"name": "rooms", "queries": GOLDEN}) == first
    second = store.post("/golden_sets", {"name": "rooms", "queries": GOLDEN[:3]})
    assert second["version"] == 2
    assert [one["id"] for one in store.get("/golden_sets")["data"]] == [second["id"]]
    kept = store.get("/golden_sets/rooms")["queries"]
    assert [(one["id"], one["relevant"]["keys"]) for one in kept[:1]] == [("falcon", {"falcon.txt": 1.0})]
    assert store.get(f"/golden_sets/{first['id']}")["query_count"] == len(GOLDEN)
    nothing = {"id": "x", "query": "?", "relevant": {}}
    assert (
        "Line 2" in store.post("/golden_sets", {"name": "n", "queries": [GOLDEN[0], nothing]}, 400)["error"]["message"]
    )
    misspelt = {"id": "x", "query": "?", "relevant": {"key": ["a"]}}
    refused = store.post("/golden_sets", {"name": "n", "queries": [misspelt]}, 400)
    assert refused["error"]["param"] == "queries[0].relevant.key"


def test_a_candidate_takes_its_share_of_live_traffic(store: Api) -> None:
    live, new = store.get()["live_index_version"], store.build(lexical={"k": 1.5})
    assert store.get(f"/index_versions/{new}")["manifest"]["lexical"]["language"] == "english"
    store.post(f"/index_versions/{live}", {"canary_share": 0.5}, 409)
    store.post(f"/index_versions/{new}", {"canary_share": 1.1}, 400)
    assert store.post(f"/index_versions/{new}", {"canary_share": 0.5, "reason": "try"})["canary_share"] == 0.5
    by_session = {
        session: {store.first(f"the {topic}", session=session)[1] for topic in TOPICS[:3]}
        for session in map(str, range(12))
    }
    assert all(len(answered) == 1 for answered in by_session.values())
    assert set.union(*by_session.values()) == {live, new}
    shares = store.post(f"/index_versions/{new}", {"canary_share": 0, "shadow_share": 1})
    assert (shares["shadow_share"], shares["canary_share"]) == (1, 0)
    assert {store.first(f"the {topic}")[1] for topic in TOPICS} == {live}
    deadline = time.monotonic() + 20  # what was seen of live queries is written some seconds later
    while not (seen := store.post("/compare", {"candidate": new})["trials"])["shadows"] and time.monotonic() < deadline:
        time.sleep(0.5)
    assert seen["canaries"] and seen["shadows"] and seen["mean_overlap"] is not None
    assert seen["candidate_ms"] > 0


def test_answers_stay_with_the_version_and_the_snapshot_they_are_asked_of(store: Api, versioned: Any) -> None:
    new = store.build(ann={"m": 8})
    client = versioned.openai()
    tool: dict[str, Any] = {"type": "file_search", "vector_store_ids": [store.id], "index_version": new}
    reply = client.responses.create(model="extractive", input="Where is the falcon?", tools=[tool], user="u")
    (cited, *_) = reply.output[1].content[0].annotations
    assert (cited.index_version, cited.quote, reply.user) == (new, "The falcon is in room 0.", "u")
    chat = client.chat.completions.create(
        model=f"extractive@{store.id}", messages=[{"role": "user", "content": "Where is the falcon?"}], tools=[tool]
    )
    assert chat.choices[0].message.annotations[0].index_version == new  # type: ignore[index]

    store.post("/snapshots", {"name": "before"})
    store.put(falcon="The falcon has left for the harbour.")
    pinned = {**tool, "snapshot": "before"}
    old = client.responses.create(model="extractive", input="Where is the falcon?", tools=[pinned])
    (cited, *_) = old.output[1].content[0].annotations
    assert (cited.index_version, cited.quote) == (new, "The falcon is in room 0.")
    text = client.vector_stores.files.content(cited.file_id, vector_store_id=store.id).data[0].text
    assert text[cited.source_start : cited.source_end] == cited.quote
    client.close()
    several = {**tool, "vector_store_ids": [store.id, "vs_other"]}
    body = {"model": "extractive", "input": "?", "tools": [several]}
    refused = store.http.post("/responses", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools[0].index_version")


def test_a_snapshot_is_searched_compared_and_restored(store: Api) -> None:
    store.put(harbour="The harbour is closed.", pepper="The pepper is on the table.")
    taken = store.post("/snapshots", {"name": "monday"})
    assert (taken["documents"], taken["deleted_documents"]) == (len(TOPICS), 0)
    assert store.post("/snapshots", {"name": "monday"}, 409)["error"]["code"] == "name_taken"
    store.post("/snapshots", {"name": "now"}, 400)
    ids = store.put(harbour="The harbour is open.", umbrella="The umbrella is here.")
    store.delete("/documents", key="tulip.txt")

    def text(query: str, **more: object) -> str:
        return str(store.search(query, **more)[0]["content"][0]["text"])  # type: ignore[arg-type]

    assert text("harbour") == "The harbour is open."
    assert text("harbour", snapshot="monday") == "The harbour is closed."
    assert "umbrella.txt" not in {hit["key"] for hit in store.search("umbrella", snapshot=taken["id"])}
    diff = store.get("/snapshots/monday/diff")
    assert (diff["added"], diff["changed"], diff["removed"]) == (["umbrella.txt"], ["harbour.txt"], ["tulip.txt"])
    assert store.get(f"/snapshots/{taken['id']}")["deleted_documents"] == 1

    # A version that is built later holds what the snapshot names as well.
    new = store.build(ann={"m": 8})
    assert store.first("harbour", snapshot="monday", index_version=new) == ("harbour.txt", new)
    store.post("/snapshots/monday/restore", {"reason": "oops"})
    assert text("harbour") == "The harbour is closed."
    assert {hit["key"] for hit in store.search("umbrella tulip harbour")} & {"umbrella.txt", "tulip.txt"} == set()
    assert store.get("/history")["data"][0]["reason"] == "snapshot monday: oops"
    assert store.get("/snapshots/monday/diff", to="now")["added"] == []

    # What no snapshot names and no reader sees is erased in the background; so is what only a deleted one named.
    store.put(harbour="The harbour is rebuilt.")
    assert text("harbour", snapshot="monday") == "The harbour is closed."
    store.delete("/snapshots/monday")
    store.search("harbour", 404, snapshot="monday")
    assert text("harbour") == "The harbour is rebuilt."
    gone = store.http.get(f"/vector_stores/{store.id}/files/{ids['umbrella']}/content")
    deadline = time.monotonic() + 20
    while gone.status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        gone = store.http.get(f"/vector_stores/{store.id}/files/{ids['umbrella']}/content")
    assert gone.status_code in (404, 409)


def test_a_build_waits_while_it_is_paused_and_ends_where_it_is_cancelled(make_service: Callable[..., Any]) -> None:
    store = Api(make_service(**ENVIRONMENT, CITEWELL_WORKER__EMBEDDED="false"))
    version = store.post("/index_versions", {"ann": {"m": 8}})["id"]
    path = f"/index_versions/{version}"
    assert store.post("/index_versions", {"ann": {"m": 9}}, 409)["error"]["code"] == "build_in_progress"
    assert store.post(f"{path}/pause", {"reason": "noon"})["paused"]
    assert not store.post(f"{path}/resume")["paused"]
    store.post(f"{path}/promote", {"force": True, "reason": "now"}, 409)
    assert store.post(f"{path}/cancel")["status"] == "deleted"
    for act in ("pause", "resume", "cancel"):
        assert store.post(f"{path}/{act}", status=409)["error"]["code"] == "not_building"
    assert [one["kind"] for one in store.get("/history", order="asc")["data"]] == [
        "created",
        "paused",
        "resumed",
        "deleted",
    ]
    store.http.close()


def test_routes_belong_to_the_project_and_ask_for_the_right_key(versioned: Any, empty: Api) -> None:
    store = empty
    settings = load(environ={"CITEWELL_HOME": str(versioned.home)}).settings
    _, other = asyncio.run(create_key(settings, "theirs", "elsewhere", Role.ADMIN))
    _, reader = asyncio.run(create_key(settings, "looks", "default", Role.READ))
    live = store.get()["live_index_version"]
    reads = ["/index_versions", f"/index_versions/{live}", "/history", "/comparisons", "/golden_sets", "/snapshots"]
    writes = {
        "/index_versions": {"dry_run": True},
        f"/index_versions/{live}": {},
        f"/index_versions/{live}/promote": {},
        f"/index_versions/{live}/cancel": {},
        "/rollback": {},
        "/compare": {"candidate": live},
        "/golden_sets": {"name": "n", "queries": GOLDEN},
        "/snapshots": {"name": "n"},
    }
    for path in reads:
        url = f"/vector_stores/{store.id}{path}"
        assert store.http.get(url, headers={"Authorization": f"Bearer {other}"}).status_code == 404
        assert store.http.get(url, headers={"Authorization": f"Bearer {reader}"}).status_code == 200
    for path, body in writes.items():
        url = f"/vector_stores/{store.id}{path}"
        assert store.http.post(url, json=body, headers={"Authorization": f"Bearer {other}"}).status_code == 404
        assert store.http.post(url, json=body, headers={"Authorization": f"Bearer {reader}"}).status_code == 403


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def citewell(versioned: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: its exit code, and what it printed."""
    monkeypatch.setenv("CITEWELL_BASE_URL", versioned.url)
    monkeypatch.setenv("CITEWELL_API_KEY", versioned.key)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["citewell", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return command


def test_the_command_line_takes_a_version_from_plan_to_rollback(store: Api, citewell: Command, tmp_path: Any) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        ended, out, err = citewell(*arguments)
        assert ended == code, out + err
        return out

    live = store.get()["live_index_version"]
    assert f"{len(TOPICS)} there already" in run("versions", "plan", store.id, "--set", "ann.m=8")
    assert "to embed, 0 there" in run("versions", "plan", store.id, "--max-tokens", "100")
    german = json.loads(run("versions", "plan", store.id, "--set", "lexical.language=german", "--json"))
    assert (german["manifest"]["lexical"]["language"], german["embedded"]) == ("german", 0)
    assert "lexical.tongue" in citewell("versions", "build", store.id, "--set", "lexical.tongue=x")[2]
    new = json.loads(run("versions", "build", store.id, "--set", "ann.m=8", "--wait", "--json"))["id"]
    assert run("versions", "list", store.id).splitlines()[1].split()[:2] == [new, "ready"]
    assert "ann.m" in run("versions", "show", store.id, new)

    refused = run("versions", "promote", store.id, code=1)
    assert "insufficient" in refused and "upload a golden set" in refused
    lines = tmp_path / "golden.jsonl"
    lines.write_text("\n".join(json.dumps(one) for one in GOLDEN))
    assert "version 1" in run("golden", "add", store.id, "rooms", str(lines))
    lines.write_text(run("golden", "show", store.id, "rooms"))
    assert "version 1" in run("golden", "add", store.id, "rooms", str(lines))
    assert "rooms" in run("golden", "list", store.id)
    compared = run("versions", "compare", store.id)
    assert "Verdict: passed." in compared and "ndcg_10" in compared
    assert "answers 25%" in run("versions", "traffic", store.id, "--canary", "0.25")
    assert f"{new} is live" in run("versions", "promote", store.id, new, "--reason", "smaller")
    assert f"{live} is live" in run("versions", "rollback", store.id)
    run("versions", "delete", store.id, live, "--yes", code=1)
    assert "deleted" in run("versions", "delete", store.id, new, "--yes")
    assert "smaller" in run("versions", "history", store.id)

    run("snapshots", "take", store.id, "monday")
    store.put(umbrella="The umbrella is here.")
    assert "+ umbrella.txt" in run("snapshots", "diff", store.id, "monday")
    assert "umbrella.txt" not in run("search", "umbrella", "--store", store.id, "--snapshot", "monday")
    run("snapshots", "restore", store.id, "monday", "--yes")
    assert "0 added, 0 changed, 0 removed." in run("snapshots", "diff", store.id, "monday", "now")
    assert "monday" in run("snapshots", "list", store.id)
    run("snapshots", "delete", store.id, "monday", "--yes")


def test_a_store_goes_over_to_another_analysis_and_context(empty: Api) -> None:
    plain = {"context": "none", "lexical": {"analysis": "words-2", "language": "english+german"}}
    planned = empty.post("/index_versions", {**plain, "dry_run": True})
    assert planned["manifest"]["lexical"]["language"] == "english+german"
    assert "context" not in planned["manifest"]
    refused = empty.post("/index_versions", {"lexical": {"language": "english+klingon"}}, status=400)
    assert refused["error"]["param"] == "lexical.language"
