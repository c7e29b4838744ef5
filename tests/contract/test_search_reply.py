"""What a search does with its request, over HTTP: explanations, spreading, joining, thresholds, changes between two."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

MODEL = {"CITEWELL_EMBEDDING__MODEL": "hashing-256"}
LONG = "\n\n".join(f"# Part {n}\n\nThe heron number {n} fishes at the weir {n}. " + "It waits. " * 60 for n in range(6))
TEXTS = {"heron.md": LONG, "otter.md": "The otter fishes at night.", "lynx.md": "The lynx does not fish."}


class Shelf:
    """A service with one store of a few documents."""

    def __init__(self, service: Any, texts: dict[str, str]) -> None:
        self.service = service
        self.http = httpx.Client(
            base_url=f"{service.url}/v1", headers={"Authorization": f"Bearer {service.key}"}, timeout=60
        )
        self.store = self.http.post("/vector_stores", json={"name": "s"}).json()["id"]
        for key, text in texts.items():
            self.put(key, text)

    def put(self, key: str, text: str) -> None:
        form = {"purpose": (None, "user_data"), "file": (key, text.encode())}
        file_id = self.http.post("/files", files=form).json()["id"]
        added = self.http.post(f"/vector_stores/{self.store}/files", json={"file_id": file_id, "key": key})
        assert added.status_code == 200, added.text
        deadline = time.monotonic() + 60
        while self.http.get(f"/vector_stores/{self.store}/files/{file_id}").json()["status"] != "completed":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def search(self, query: str = "who fishes at the weir", **fields: Any) -> dict[str, Any]:
        reply = self.http.post(f"/vector_stores/{self.store}/search", json={"query": query, **fields})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> Iterator[Shelf]:
    running = service_class(tmp_path_factory.mktemp("reply") / "home", MODEL)
    running.start()
    made = Shelf(running, TEXTS)
    yield made
    made.http.close()
    running.stop()


def test_it_says_what_it_did_only_where_that_is_asked_for(shelf: Shelf) -> None:
    assert shelf.search()["explain"] is None
    page = shelf.search(explain=True)
    stages = {one["name"]: one for one in page["explain"]["stages"]}
    assert {"embed", "dense", "lexical", "fuse", "read"} <= stages.keys()
    assert stages["dense"]["detail"] == "exact" and all(one["ms"] >= 0 for one in stages.values())
    assert page["explain"]["index_version"] == page["data"][0]["index_version"]
    assert (page["partial"], page["problems"]) == (False, [])
    by_words = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    words = shelf.search(explain=True, ranking_options=by_words)["explain"]["stages"]
    assert not {"embed", "dense"} & {one["name"] for one in words}


def test_a_filtered_search_of_many_says_so(shelf: Shelf) -> None:
    page = shelf.search(max_per_document=1)
    assert sorted(hit["key"] for hit in page["data"]) == sorted(TEXTS)
    assert len(shelf.search(max_num_results=3)["data"]) == 3
    same = [hit["chunk_id"] for hit in shelf.search(diversity=0)["data"]]
    spread = [hit["chunk_id"] for hit in shelf.search(diversity=0.9)["data"]]
    assert set(spread) == set(same) and spread[0] == same[0] and spread != same


def test_neighbours_are_joined_into_a_passage_of_the_text(shelf: Shelf) -> None:
    (alone, *_) = shelf.search("heron number 3", max_num_results=1)["data"]
    (joined, *_) = shelf.search("heron number 3", max_num_results=1, neighbours=1)["data"]
    assert joined["chunk_id"] == alone["chunk_id"]
    assert joined["start"] < alone["start"] and alone["end"] < joined["end"]
    file = shelf.http.get(f"/vector_stores/{shelf.store}/files/{joined['file_id']}/content").json()
    text = "".join(part["text"] for part in file["data"])
    assert joined["content"][0]["text"] == text[joined["start"] : joined["end"]]


def test_a_threshold_leaves_out_what_scores_below_it(shelf: Shelf) -> None:
    scores = [hit["score"] for hit in shelf.search()["data"]]
    least = scores[1]
    kept = shelf.search(ranking_options={"score_threshold": least})["data"]
    assert [hit["score"] for hit in kept] == [score for score in scores if score >= least]


def test_a_change_is_seen_by_the_next_search(shelf: Shelf) -> None:
    """Views are reused for a moment, and never when that would show."""
    for number in range(5):
        shelf.put("news.md", f"Bulletin {number} says nothing.")
        (hit,) = shelf.search("bulletin", max_num_results=1)["data"]
        assert hit["content"][0]["text"] == f"Bulletin {number} says nothing."
        shelf.search("bulletin")
    gone = shelf.http.delete(f"/vector_stores/{shelf.store}/documents", params={"key": "news.md"})
    assert gone.status_code == 200
    assert "news.md" not in {hit["key"] for hit in shelf.search("bulletin")["data"]}


@pytest.mark.parametrize("field", [{"deadline_ms": 0}, {"diversity": 2}, {"neighbours": 9}, {"max_per_document": 0}])
def test_what_cannot_be_is_refused_by_name(shelf: Shelf, field: dict[str, float]) -> None:
    reply = shelf.http.post(f"/vector_stores/{shelf.store}/search", json={"query": "q", **field})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, *field)


def test_a_client_that_hangs_up_holds_no_place(shelf: Shelf) -> None:
    body = b'{"query": "who fishes"}'
    head = (
        f"POST /v1/vector_stores/{shelf.store}/search HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {shelf.service.key}"
        f"\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()

    def hang_up() -> None:
        with socket.create_connection(("127.0.0.1", shelf.service.port)) as connection:
            connection.sendall(head + body)

    callers = [threading.Thread(target=hang_up) for _ in range(40)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert shelf.search()["data"]
