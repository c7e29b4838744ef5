"""Errors on HTTP: status, type, headers, and what a client does not get to see."""

import asyncio
import logging

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api import errors as api_errors
from api.limits import Capacity
from api.middleware import middleware
from api.request_id import RequestIdFilter
from indexes import errors

RAISED: dict[str, Exception] = {
    "invalid": errors.InvalidRequest("No.", param="query"),
    "key": errors.Unauthenticated("No key."),
    "forbidden": errors.Forbidden("Not yours."),
    "missing": errors.NotFound("No such store."),
    "conflict": errors.Conflict("It is live.", code="gate_failed"),
    "large": errors.TooLarge("Too large."),
    "busy": errors.Overloaded("Full.", retry_after_s=0.4),
    "down": errors.Unavailable("The model server does not answer."),
    "manifest": errors.ManifestMismatch("/secret/path"),
    "bug": ZeroDivisionError("/secret/path"),
}


def _app() -> FastAPI:
    app = FastAPI(middleware=middleware(max_json_bytes=100))
    api_errors.install(app)

    @app.get("/raise/{name}")
    async def raise_it(name: str) -> None:
        raise RAISED[name]

    @app.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    return app


APP = _app()


async def _send(method: str, path: str, **options: object) -> Response:
    async with AsyncClient(transport=ASGITransport(APP), base_url="http://test") as client:
        return await client.request(method, path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("invalid", 400, "invalid_request_error", "invalid_request"),
        ("key", 401, "authentication_error", "invalid_api_key"),
        ("forbidden", 403, "permission_error", "forbidden"),
        ("missing", 404, "invalid_request_error", "not_found"),
        ("conflict", 409, "invalid_request_error", "gate_failed"),
        ("large", 413, "invalid_request_error", "too_large"),
        ("busy", 429, "rate_limit_error", "overloaded"),
        ("down", 503, "server_error", "unavailable"),
        ("manifest", 500, "server_error", "manifest_mismatch"),
        ("bug", 500, "server_error", "internal_error"),
    ],
)
async def test_each_error_has_its_status(name: str, status: int, kind: str, code: str) -> None:
    reply = await _send("GET", f"/raise/{name}")
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"]) == (status, kind, code)
    assert ("secret" in reply.text) is False
    assert (reply.headers.get("x-should-retry") == "false") == (status < 500 and status != 429)
    assert reply.headers["x-request-id"].startswith("req_")


async def test_overload_says_when_to_come_back() -> None:
    headers = (await _send("GET", "/raise/busy")).headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "400")


def test_every_error_of_the_tree_has_a_row() -> None:
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CitewellError)}
    rows = {kind: api_errors.status_and_type(kind("x"))[0] for kind in tree}
    # A 500 is on purpose for these alone: they are faults of the deployment, not of a request.
    assert {kind.__name__ for kind, status in rows.items() if status == 500} == {
        "CitewellError",
        "LeaseLost",
        "ManifestMismatch",
        "SettingsError",
    }


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code", "says"),
    [
        ("GET", "/ecco", {}, 404, "unknown_route", "Did you mean /echo?"),
        ("GET", "/echo", {}, 405, "method_not_allowed", "Use POST."),
        ("POST", "/echo", {"json": {"a": "b" * 100}}, 413, "body_too_large", "100 bytes"),
        ("POST", "/echo", {"content": b"{"}, 400, "invalid_json", "at character 1"),
        ("POST", "/echo", {"content": b"\xff"}, 400, "invalid_body", "UTF-8"),
        ("POST", "/echo", {}, 400, "missing_required_parameter", "application/json"),
    ],
)
async def test_what_is_no_request_is_told_why(
    method: str, path: str, options: dict[str, object], status: int, code: str, says: str
) -> None:
    headers = {"content-type": "application/json"}
    reply = await _send(method, path, headers=headers, **options)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code), error
    assert says in error["message"]


async def test_a_body_that_hides_its_length_is_bounded_too() -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(100):
            yield b" " * 10

    reply = await _send("POST", "/echo", headers={"content-type": "application/json"}, content=endless())
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_sane_request_id_is_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.INFO):
        kept = await _send("GET", "/raise/bug", headers={"x-request-id": "abc-1"})
        made = await _send("GET", "/raise/missing", headers={"x-request-id": "a b\n" * 99})
    assert kept.headers["x-request-id"] == "abc-1"
    assert made.headers["x-request-id"].startswith("req_")
    ids = [
        (record.request_id, record.name)
        for record in caplog.records
        if record.name in ("api.errors", "citewell.access")
    ]
    assert ids == [
        ("abc-1", "api.errors"),
        ("abc-1", "citewell.access"),
        (made.headers["x-request-id"], "citewell.access"),
    ]


async def test_capacity_is_refused_at_once_and_given_back() -> None:
    capacity, go = Capacity(2, retry_after_s=3), asyncio.Event()

    async def work() -> None:
        async with capacity:
            await go.wait()

    working = [asyncio.create_task(work()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(errors.Overloaded) as refusal:
        async with capacity:
            pass
    assert refusal.value.retry_after_s == 3
    working[0].cancel()
    go.set()
    await asyncio.gather(*working, return_exceptions=True)
    assert capacity.taken == 0
