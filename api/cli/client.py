"""The API as the command line uses it: typed replies, one error tree, retries where the server says when."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api.wire.base import Listed
from api.wire.comparisons import GateRefusal, GateReport
from api.wire.errors import ErrorReply
from api.wire.pages import Page
from api.wire.prompts import PromptTestReport, PromptTestsRefusal
from api.wire.vector_stores import VectorStore
from indexes.errors import CitewellError, GateFailed, InvalidRequest, NotFound, PromptTestsFailed, Unavailable

DEFAULT_BASE_URL = "http://127.0.0.1:8080"
_ATTEMPTS = 6
_LONGEST_WAIT_S = 30.0

Reply = TypeVar("Reply", bound=BaseModel)
Entry = TypeVar("Entry", bound=Listed)


class RefusedByServer(CitewellError):
    """The server answered with an error; the message is its own.

    `report` is there where the quality gate refused, `trial` where test cases of a prompt did.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        report: GateReport | None = None,
        trial: PromptTestReport | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.status = status
        self.report = report
        self.trial = trial


class Client:
    """One server and one key. Safe from several threads.

    Every call raises Unavailable where the server cannot be reached, RefusedByServer where it answers with an error.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        """Raises InvalidRequest for what cannot be an address or a key."""
        if not (api_key.isascii() and api_key.isprintable()):  # and it must not be printed
            raise InvalidRequest("The API key has characters that no key has. Set CITEWELL_API_KEY anew.")
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        try:
            self._http = httpx.Client(
                base_url=f"{self.base_url}/v1",
                headers={"authorization": f"Bearer {api_key}"},
                timeout=httpx.Timeout(60.0, connect=5.0, read=300.0),
            )
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"CITEWELL_BASE_URL is no address: {error}.") from error

    def close(self) -> None:
        """Give its connections back."""
        self._http.close()

    def get(self, path: str, shape: type[Reply], params: dict[str, str | int] | None = None) -> Reply:
        """Read one object."""
        return self._read(lambda: self._http.get(path, params=params), shape)

    def post(self, path: str, shape: type[Reply], body: object) -> Reply:
        """Send JSON data."""
        return self._read(lambda: self._http.post(path, json=body), shape)

    def delete(self, path: str, shape: type[Reply], params: dict[str, str | int] | None = None) -> Reply:
        """Delete one object."""
        return self._read(lambda: self._http.delete(path, params=params), shape)

    def upload(self, path: Path, filename: str, shape: type[Reply]) -> Reply:
        """Upload a file, read from disk as it is sent."""

        def send() -> httpx.Response:
            with path.open("rb") as content:
                return self._http.post("/files", files={"file": (filename, content)}, data={"purpose": "assistants"})

        return self._read(send, shape)

    def pages(self, path: str, entry: type[Entry], params: dict[str, str | int] | None = None) -> Iterator[Entry]:
        """Every entry of a list, page after page."""
        query = {"limit": 100, **(params or {})}
        while True:
            page = self.get(path, Page[entry], query)  # type: ignore[valid-type]
            yield from page.data
            if not page.has_more or page.last_id is None:
                return
            query["after"] = page.last_id

    @contextmanager
    def events(self, path: str, body: object) -> Iterator[Iterator[str]]:
        """Send JSON data; the data of each server-sent event, as JSON text."""
        try:
            with self._http.stream("POST", path, json=body) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield (line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: "))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except UnicodeEncodeError as error:
            raise _unsendable(error) from error

    def store(self, name: str) -> VectorStore:
        """The newest store of that id or name. Raises NotFound."""
        for store in self.pages("/vector_stores", VectorStore):
            if name in (store.id, store.name):
                return store
        raise NotFound(f"There is no store '{name}'. `citewell stores list` shows all, `citewell ingest` makes one.")

    def store_or_new(self, name: str) -> VectorStore:
        """The store of that id or name, made where there is none."""
        try:
            return self.store(name)
        except NotFound:
            return self.post("/vector_stores", VectorStore, {"name": name})

    def store_or_only(self, name: str | None) -> VectorStore:
        """The store of that name, or the only one there is where none is named."""
        if name is not None:
            return self.store(name)
        stores = list(self.pages("/vector_stores", VectorStore))
        if len(stores) != 1:
            names = ", ".join(store.name or store.id for store in stores) or "none yet; `citewell ingest` makes one"
            raise InvalidRequest(f"Say which store with --store. There are: {names}.")
        return stores[0]

    def _read(self, send: Callable[[], httpx.Response], shape: type[Reply]) -> Reply:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = send()
            except httpx.HTTPError as error:
                raise self._unreachable(error) from error
            except ValueError as error:  # of JSON or UTF-8
                raise _unsendable(error) from error
            if not response.is_error:
                return self._understood(response, shape)
            if response.status_code not in (429, 503) or attempt == _ATTEMPTS:
                raise _refusal(response)
            time.sleep(_wait_s(response, attempt))
        raise AssertionError("the last attempt returns or raises")

    def _understood(self, response: httpx.Response, shape: type[Reply]) -> Reply:
        try:
            return shape.model_validate_json(response.content)
        except ValidationError as error:
            raise Unavailable(
                f"What answers at {self.base_url} is not this release of Citewell. Set CITEWELL_BASE_URL to where it "
                "runs."
            ) from error

    def _unreachable(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(
            f"No answer from {self.base_url} ({error or type(error).__name__}). "
            "Start the service with `citewell serve`, or set CITEWELL_BASE_URL."
        )


def _unsendable(error: ValueError) -> InvalidRequest:
    return InvalidRequest(f"This cannot be sent: {error}. Write it as UTF-8 text, and numbers as JSON knows them.")


@contextmanager
def connect(base_url: str | None = None, home: Path | None = None) -> Iterator[Client]:
    """A client for the length of the block, as CITEWELL_BASE_URL and CITEWELL_API_KEY say.

    Where they are not set: the service of this machine, and the admin key in its home directory.
    """
    from api.settings import load

    key = os.environ.get("CITEWELL_API_KEY")
    if not key:
        file = (home or load().settings.home) / "admin.key"
        try:
            key = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Unavailable(
                f"There is no API key: CITEWELL_API_KEY is not set, and {file} cannot be read ({error.strerror}). "
                "`citewell serve` writes that file when it first starts."
            ) from error
    client = Client(base_url or os.environ.get("CITEWELL_BASE_URL") or DEFAULT_BASE_URL, key)
    try:
        yield client
    finally:
        client.close()


def _refusal(response: httpx.Response) -> RefusedByServer:
    report = trial = None
    try:
        detail = ErrorReply.model_validate_json(response.content).error
        match detail.code:
            case GateFailed.code:
                report = GateRefusal.model_validate_json(response.content).report
            case PromptTestsFailed.code:
                trial = PromptTestsRefusal.model_validate_json(response.content).report
    except ValidationError:
        message = f"The server answered {response.status_code}, and not as Citewell does. Is the address right?"
        return RefusedByServer(response.status_code, message, code="http_error")
    return RefusedByServer(
        response.status_code, detail.message, code=detail.code, param=detail.param, report=report, trial=trial
    )


def _wait_s(response: httpx.Response, attempt: int) -> float:
    try:
        asked = float(response.headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        asked = 0.5 * 2**attempt
    return min(asked, _LONGEST_WAIT_S)
