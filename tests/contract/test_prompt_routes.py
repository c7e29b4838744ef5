"""Prompts, conversations and replays of a running service, whose language model is scripted."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.cli.main import main
from generation.prompt import seeds
from generation.scripted_llm import Reply, ScriptedLlm, scripted_llm

TEXTS = {
    "gate.md": "# Gate\n\nThe gate opens at six in the morning. It closes at nine in the evening.\n",
    "moat.md": "# Moat\n\nThe moat is four metres deep. Carp live in the moat.\n",
}
ANSWER = "The gate opens at six in the morning [1]."
SHIPPED = seeds()["answer"].text
TERSE = SHIPPED.replace("shortly and plainly", "in one short sentence")


def script(request: dict[str, Any]) -> Reply:
    """Rewrites what is to be rewritten, and answers by the prompt it is given."""
    system = request["messages"][0]["content"]
    if "You rewrite the last question" in system:
        return Reply(["When does the ", "gate close?"])
    return Reply(["At six [1]."] if "one short sentence" in system else [ANSWER])


@pytest.fixture(scope="module")
def llm() -> Iterator[ScriptedLlm]:
    """Beside the tests, which wait for what they ask."""
    ready, stop, running = threading.Event(), asyncio.Event(), []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with scripted_llm(Reply()) as server:
            running.append(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield running[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, service_class: Any, llm: ScriptedLlm) -> Iterator[Any]:
    models = [{"name": "scripted", "base_url": llm.base_url, "model": "small", "read_timeout_s": 5}]
    environment = {
        "CITEWELL_EMBEDDING__MODEL": "hashing-256",
        "CITEWELL_GENERATION__LLMS": json.dumps(models),
        # The confidence is fitted to a real embedding model, which this is not.
        "CITEWELL_GENERATION__LLM_ABSTAIN_BELOW": "0",
        "CITEWELL_GENERATION__ABSTAIN_BELOW": "0",
    }
    running = service_class(tmp_path_factory.mktemp("prompted") / "home", environment)
    running.start()
    yield running
    running.stop()


class Api:
    """One store of the service, and its project."""

    def __init__(self, service: Any) -> None:
        headers = {"Authorization": f"Bearer {service.key}"}
        self.http = httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=60)
        self.store = self.post("/vector_stores", {"name": "castle"})["id"]
        self.files = {}
        for name, text in TEXTS.items():
            upload = self.http.post("/files", data={"purpose": "assistants"}, files={"file": (name, text.encode())})
            self.files[name] = upload.json()["id"]
        self.post(f"/vector_stores/{self.store}/file_batches", {"file_ids": list(self.files.values())})
        while self.get(f"/vector_stores/{self.store}")["file_counts"]["in_progress"]:
            time.sleep(0.05)

    def get(self, path: str, status: int = 200, **params: Any) -> dict[str, Any]:
        reply = self.http.get(path, params=params)
        assert reply.status_code == status, reply.text
        return dict(reply.json())

    def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> dict[str, Any]:
        reply = self.http.post(path, json=body, headers=headers)
        assert reply.status_code == status, reply.text
        return dict(reply.json())

    def ask(self, question: str, model: str = "scripted", **fields: Any) -> dict[str, Any]:
        return self.post("/responses", {"model": f"{model}@{self.store}", "input": question, **fields})


@pytest.fixture
def api(service: Any, llm: ScriptedLlm) -> Iterator[Api]:
    llm.script = script
    llm.requests.clear()
    made = Api(service)
    yield made
    made.http.close()


def said(response: dict[str, Any]) -> str:
    return str(response["output"][1]["content"][0]["text"])


def test_what_ships_is_version_1_and_a_bad_text_is_refused_by_name(api: Api) -> None:
    listed = {one["name"]: one for one in api.get("/prompts", order="asc")["data"]}
    assert list(listed) == ["answer", "condense"]
    assert listed["answer"]["newest"]["version"] == 1
    assert listed["answer"]["live"]["label"] == seeds()["answer"].label
    assert (listed["answer"]["newest"]["actor"], listed["condense"]["purpose"]) == ("citewell", "condense")
    for text, why in (
        (SHIPPED.replace("{{ question }}", "{{ querstion }}"), "knows no 'querstion'"),
        (SHIPPED.replace("{{ no_answer }}", "{{ passages }}"), "the block 'system' knows no 'passages'"),
        ("{% block system %}{% endblock %}", "it needs the blocks system and user"),
    ):
        refused = api.post("/prompts", {"name": "answer", "text": text}, 400)["error"]
        assert (refused["code"], refused["param"]) == ("invalid_prompt", "text")
        assert why in refused["message"]
    assert api.get("/prompts/answer/versions")["data"][0]["version"] == 1


def test_a_version_is_kept_compared_tried_set_live_and_rolled_back(api: Api) -> None:
    cases = [
        {"name": "renders", "question": "When?", "contains": ["Question: When?"], "lacks": ["poem"], "max_tokens": 900},
        {
            "name": "cites",
            "question": "When does the gate open?",
            "passages": [{"key": "gate.md", "text": TEXTS["gate.md"]}],
            "answer": {"model": "scripted", "abstains": False, "cites": ["gate.md"], "contains": ["six"]},
        },
    ]
    body = {"name": "answer", "text": TERSE, "tests": cases, "reason": "shorter"}
    made = api.post("/prompts", body, **{"Idempotency-Key": "once"})
    assert api.post("/prompts", body, **{"Idempotency-Key": "once"})["id"] == made["id"]
    assert api.post("/prompts", body)["id"] == made["id"]
    diff = api.get("/prompts/answer/diff", before="1")["diff"]
    assert "-- Answer in the language of the question, shortly and plainly." in diff
    assert said(api.ask("When does the gate open?")) == "The gate opens at six in the morning."

    place = {"vector_store_id": api.store}
    change = api.post("/prompts/answer/live", {"version": made["label"].split("@")[1], "reason": "shorter", **place})
    assert change["report"]["passed"] and [one["passed"] for one in change["report"]["results"]] == [True, True]
    answered = api.ask("When does the gate open?")
    assert said(answered) == "At six."
    named = api.ask("When does the gate open?", prompt={"id": "answer", "version": "1"})
    assert (said(named), named["prompt"]["version"]) == ("The gate opens at six in the morning.", "1")

    broken = [{**cases[0], "contains": ["a word that is not there"]}]
    api.post("/prompts/answer/tests", {"tests": broken})
    assert not api.post("/prompts/answer/trial")["passed"]
    refused = api.post("/prompts/answer/live", {"version": "1", **place}, 409)
    assert refused["error"]["code"] == "prompt_tests_failed"
    assert "a word that is not there" in refused["report"]["results"][0]["failures"][0]
    assert api.post("/prompts/answer/live", {"version": "1", "force": True, **place}, 400)["error"]["param"] == "reason"
    forced = api.post("/prompts/answer/live", {"version": "1", "force": True, "reason": "now", **place})
    assert (forced["forced"], forced["live"]["version"]) == (True, 1)

    once = {"Idempotency-Key": "back"}
    assert api.post("/prompts/answer/rollback", place, **once)["live"]["label"] == made["label"]
    assert api.post("/prompts/answer/rollback", place, **once)["live"]["label"] == made["label"]
    assert api.post("/prompts/answer/rollback", place)["live"] is None
    assert api.post("/prompts/answer/rollback", place, 409)["error"]["code"] == "nothing_to_roll_back"
    lines = api.get("/prompts/answer/history", order="asc", **place)["data"]
    assert [(line["kind"], line["forced"]) for line in lines] == [
        ("live", False),
        ("live", True),
        ("rolled_back", False),
        ("rolled_back", False),
    ]
    assert lines[0]["reason"] == "shorter" and lines[0]["actor"].startswith("admin (key_")
    api.post("/prompts/answer/tests", {"tests": []})


def test_prompts_that_cannot_be_used_are_refused(api: Api) -> None:
    api.post("/prompts", {"name": "mine", "text": TERSE})
    for prompt, model, status, code in (
        ({"id": "mine"}, "scripted", 409, "prompt_not_live"),
        ({"id": "condense"}, "scripted", 400, "invalid_request"),
        ({"id": "missing"}, "scripted", 404, "not_found"),
        ({"id": "mine", "version": "9"}, "scripted", 404, "not_found"),
        ({"id": "answer"}, "extractive", 400, "invalid_request"),
    ):
        body = {"model": f"{model}@{api.store}", "input": "When?", "prompt": prompt}
        assert api.post("/responses", body, status)["error"]["code"] == code
    assert api.post("/prompts/answer/live", {"version": "1", "vector_store_id": "vs_none"}, 404)
    assert said(api.ask("When?", prompt={"id": "mine", "version": "1"})) == "At six."


def test_a_conversation_is_searched_by_what_it_comes_to(api: Api, llm: ScriptedLlm) -> None:
    first = api.ask("When does the gate open?")
    assert first["search_query"] is None
    then = api.ask("And when does it close?", previous_response_id=first["id"])
    assert then["search_query"] == "When does the gate close?" == then["output"][0]["queries"][0]
    rewriting, answering = llm.requests[-2:]
    assert "When does the gate open?" in rewriting["messages"][1]["content"]
    assert [message["role"] for message in answering["messages"]] == ["system", "user", "assistant", "user"]
    llm.script = lambda request: Reply(status=503) if "rewrite" in request["messages"][0]["content"] else Reply(["No."])
    ruled = api.ask("And when does it close?", previous_response_id=first["id"])
    assert ruled["search_query"] == "gate open And when does it close?"

    quoted = api.ask("How deep is the moat?", model="extractive")
    chat = [
        {"role": "user", "content": "How deep is the moat?"},
        {"role": "assistant", "content": said(quoted)},
        {"role": "user", "content": "What lives in it?"},
    ]
    went_on = api.post("/chat/completions", {"model": f"extractive@{api.store}", "messages": chat})
    assert went_on["search_query"] == "deep moat What lives in it?"
    assert "Carp live in the moat." in went_on["choices"][0]["message"]["content"]


def test_an_answer_is_made_again_as_it_was_and_otherwise(api: Api) -> None:
    first = api.ask("When does the gate open?", temperature=0.5)
    assert said(first) == "The gate opens at six in the morning."
    same = api.post(f"/responses/{first['id']}/replay")
    assert (same["same"], same["diff"], same["notes"]) == (True, "", [])
    assert same["original"]["prompt_version"] == same["replayed"]["prompt_version"] == seeds()["answer"].label
    assert same["sources"] == {"used": 2, "current": 2, "superseded": 0, "deleted": 0}
    assert same["citations"]["kept"] == 1 and not same["hits"]["gained"] + same["hits"]["lost"]

    api.post("/prompts", {"name": "terse", "text": TERSE})
    otherwise = api.post(f"/responses/{first['id']}/replay", {"prompt": "terse@1"})
    assert otherwise["diff"].splitlines()[-2:] == ["-The gate opens at six in the morning.", "+At six."]
    assert not otherwise["same"] and otherwise["replayed"]["prompt_version"].startswith("terse@")
    quoted = api.post(f"/responses/{first['id']}/replay", {"model": "extractive"})
    assert (quoted["replayed"]["model"], quoted["replayed"]["prompt_version"]) == ("extractive", None)
    assert api.post(f"/responses/{first['id']}/replay", {"index_version": "ixv_none"}, 404)

    versions = f"/vector_stores/{api.store}/index_versions"
    built = api.post(versions, {"ann": {"m": 8}})
    while (found := api.get(f"{versions}/{built['id']}"))["status"] == "building":
        time.sleep(0.05)
    assert found["status"] == "ready"
    elsewhere = api.post(f"/responses/{first['id']}/replay", {"index_version": built["id"]})
    assert elsewhere["replayed"]["index_versions"] == [built["id"]] != elsewhere["original"]["index_versions"]

    files = {"file": ("gate.md", TEXTS["gate.md"].replace("six", "five").encode())}
    newer = api.http.post("/files", data={"purpose": "assistants"}, files=files).json()["id"]
    api.post(f"/vector_stores/{api.store}/files", {"file_id": newer})
    while api.get(f"/vector_stores/{api.store}")["file_counts"]["in_progress"]:
        time.sleep(0.05)
    later = api.post(f"/responses/{first['id']}/replay", {"model": "extractive"})
    assert later["sources"]["superseded"] == 1 and "not current any more" in later["notes"][0]
    assert later["diff"].splitlines()[-1] == "+The gate opens at five in the morning."


def test_a_replay_says_that_documents_are_gone_and_shows_nothing_of_them(api: Api) -> None:
    first = api.ask("When does the gate open?")
    then = api.ask("And when does it close?", previous_response_id=first["id"])
    assert api.http.delete(f"/files/{api.files['gate.md']}").status_code == 200
    for response in (first, then):
        replay = api.post(f"/responses/{response['id']}/replay")
        assert (replay["same"], replay["diff"], replay["citations"]) == (None, None, None)
        assert replay["original"]["text"] is None and replay["sources"]["deleted"] == 1
        assert any("deleted since" in note for note in replay["notes"])
        assert any("was removed" in note for note in replay["notes"])
        assert "gate.md" not in json.dumps(replay)
    kept = api.get(f"/responses/{then['id']}")
    assert kept["search_query"] is None and kept["output"][0]["queries"] == []


def run(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    monkeypatch.setenv("CITEWELL_BASE_URL", service.url)
    monkeypatch.setenv("CITEWELL_API_KEY", service.key)
    monkeypatch.setattr(sys, "argv", ["citewell", *words])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out + out.err


def test_the_command_line_does_the_same(
    api: Api, service: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cli(*words: str) -> tuple[int, str]:
        return run(service, monkeypatch, capsys, *words)

    text, tests = tmp_path / "warm.md", tmp_path / "tests.json"
    text.write_text(TERSE + "\n")
    tests.write_text(json.dumps([{"name": "never", "question": "When?", "contains": ["no such words"]}]))
    assert cli("prompts", "add", "answer", str(text), "--tests", str(tests))[0] == 0
    newest = api.get("/prompts/answer")["newest"]
    assert newest["label"] in cli("prompts", "list")[1]
    assert cli("prompts", "show", "answer", "--version", "1")[1].strip() == SHIPPED.strip()
    assert "in one short sentence" in cli("prompts", "diff", "answer", "1")[1]
    code, out = cli("prompts", "test", "answer")
    assert code == 1 and "no such words" in out
    code, out = cli("prompts", "live", "answer", newest["label"], "--store", api.store)
    assert code == 1 and "no such words" in out
    forced = cli("prompts", "live", "answer", newest["label"], "--store", api.store, "--force", "--reason", "try")
    assert forced[0] == 0 and newest["label"] in forced[1]
    assert "forced" in cli("prompts", "history", "answer", "--store", api.store)[1]
    first = api.ask("When does the gate open?")
    assert said(first) == "At six."
    assert cli("prompts", "rollback", "answer", "--store", api.store)[0] == 0
    code, out = cli("replay", first["id"], "--prompt", "answer@1")
    assert code == 0 and "+The gate opens at six in the morning." in out
    assert json.loads(cli("replay", first["id"], "--json")[1])["same"] is True
    api.post("/prompts/answer/tests", {"tests": []})
