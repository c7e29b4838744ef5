"""A model server that reranks as it is told to, over real HTTP on 127.0.0.1, for tests.

It speaks as vLLM does at `/v1/rerank` and as text-embeddings-inference at `/rerank`: best text first, and errors in the
words of each. What it was asked is kept.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Score = Callable[[str, str], float]
"""(query, text) to the score that the server gives it."""


@dataclass(slots=True)
class ScriptedRerankServer:
    """`url` is where it listens. While `status` is not 200 it refuses; a `body` is sent in place of every reply's.

    `delay_s` is waited before each reply; `most_texts` is how many TEI takes in one request.
    """

    score: Score
    url: str = ""
    status: int = 200
    body: bytes | None = None
    delay_s: float = 0.0
    most_texts: int = 32
    requests: list[dict[str, Any]] = field(default_factory=list)

    def reply(self, path: str, request: dict[str, Any]) -> tuple[int, object]:
        """The status and the JSON of the reply."""
        self.requests.append(request)
        tei = path == "/rerank"
        texts: Sequence[str] = request["texts" if tei else "documents"]
        if self.status != 200:
            return self.status, _error(self.status, "This failure is scripted.", tei)
        if tei and len(texts) > self.most_texts:
            return 413, _error(413, f"batch size {len(texts)} > maximum allowed batch size {self.most_texts}", tei)
        scores = [self.score(request["query"], text) for text in texts]
        order = sorted(range(len(texts)), key=lambda index: -scores[index])
        if tei:
            return 200, [{"index": index, "score": scores[index]} for index in order]
        return 200, {
            "id": "rerank-scripted",
            "model": request["model"],
            "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)},
            "results": [
                {"index": at, "document": {"text": texts[at], "multi_modal": None}, "relevance_score": scores[at]}
                for at in order[: request["top_n"] or None]
            ],
        }


@contextmanager
def scripted_rerank_server(score: Score) -> Iterator[ScriptedRerankServer]:
    """Serve on a free port until the end of the block."""
    script = ScriptedRerankServer(score)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(script.delay_s)
            status, data = script.reply(self.path, request)
            body = orjson.dumps(data) if script.body is None else script.body
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            with suppress(ConnectionError):  # the client has gone
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Tests need no log of requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _error(status: int, message: str, tei: bool) -> object:
    if tei:
        return {"error": message, "error_type": "Overloaded" if status == 429 else "Validation"}
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}
