"""The API describes itself: every route says what it does, what it answers, and how it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import errors as api_errors
from api.app import create_app
from api.settings import load
from indexes import errors


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(load(environ={}).settings)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_has_a_docstring(app: FastAPI) -> None:
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes if not (route.endpoint.__doc__ or "").strip()] == []


def test_every_operation_says_what_it_answers_and_how_it_refuses(app: FastAPI) -> None:
    document = app.openapi()
    missing = []
    for name, operation in operations(document):
        replies = operation["responses"]
        bodies = [body.get("schema") for body in replies["200"].get("content", {}).values()]
        refusals = [replies[family]["content"]["application/json"]["schema"] for family in ("4XX", "5XX")]
        typed = bool(bodies) and all(bodies)
        if not (operation["summary"] and operation["description"] and typed and all(refusals) and "422" not in replies):
            missing.append(name)
    assert missing == []
    assert len({operation["operationId"] for _, operation in operations(document)}) == len(list(operations(document)))


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    assert set(references(document)) <= known


def test_every_error_has_a_status_and_its_own_code() -> None:
    tree = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CitewellError)]
    for kind in tree:
        status, family = api_errors.status_and_type(kind("x"))
        assert 400 <= status < 600 and family.endswith("_error"), kind
    own = [kind.code for kind in tree]
    assert len(set(own)) == len(own)
