"""Pydantic's findings on a request, said in one plain sentence about one field."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from indexes.errors import InvalidRequest

MAX_SENTENCE_CHARS = 500

_OUR_CODES = frozenset({"invalid_value", "unsupported_parameter"})
_WRONG_TYPE = frozenset({"union_tag_not_found", "model_attributes_type", "model_type", "is_instance_of"})


def explain(findings: Sequence[Mapping[str, Any]], body: object) -> InvalidRequest:
    """The finding that lies deepest, as a refusal. `body` is what was sent, to tell fields from pydantic's own labels.

    A union reports a finding for each of its members; the one that got furthest is the one that was meant. Where
    each fails at the same place for its type, all types are named.
    """
    located = [(_path(finding, body), finding) for finding in findings]
    path, finding = max(located, key=lambda pair: (len(pair[0]), not pair[1]["type"].endswith("_type")))
    alike = [other for place, other in located if place == path and other["type"].endswith("_type")]
    param = _sendable(dotted(path))
    sentence = _sentence(finding, param, alike if finding in alike else [finding])
    return InvalidRequest(_sendable(sentence), code=_code(finding["type"]), param=param or None)


def locate(steps: Sequence[str | int], given: object, *, missing: bool = False) -> list[str | int]:
    """The steps that lead through `given`, without the labels that pydantic puts between for members of unions."""
    path: list[str | int] = []
    here: Any = given
    for position, step in enumerate(steps):
        in_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        if in_list or (isinstance(here, dict) and step in here):
            here = here[step]
        elif not (missing and position == len(steps) - 1):
            continue
        path.append(step)
    return path


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written: `tools[0].type`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def requirement(message: str) -> str:
    """Pydantic's sentence on a value ("Input should be …") or its size ("List should have …") as "must …"."""
    _, found, rest = message.removeprefix("Value error, ").partition(" should ")
    return f"must {rest}" if found else f"is not valid ({message})"


def _path(finding: Mapping[str, Any], body: object) -> list[str | int]:
    source: str = finding["loc"][0]
    steps: list[str | int] = list(finding["loc"][1:])
    if source != "body":
        return steps
    if finding["type"] == "json_invalid":
        return []
    return locate(steps, body, missing=finding["type"] == "missing")


def _code(kind: str) -> str:
    if kind in _OUR_CODES:
        return kind
    match kind:
        case "missing":
            return "missing_required_parameter"
        case "extra_forbidden":
            return "unknown_parameter"
        case "json_invalid":
            return "invalid_json"
        case _ if kind in _WRONG_TYPE or kind.endswith(("_type", "_parsing")):
            return "invalid_type"
        case _:
            return "invalid_value"


def _sentence(finding: Mapping[str, Any], param: str, alike: Sequence[Mapping[str, Any]]) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    name = f"`{param}`" if param else "The body"
    match kind:
        case "missing" if not param:
            return "The body is missing. Send a JSON object with the header content-type: application/json."
        case "missing":
            return f"{name} is missing. Add it."
        case "extra_forbidden":
            return f"{name} is not a known field here. Check its spelling or leave it out; all fields are at /docs."
        case "json_invalid":
            return (
                f"The body is not valid JSON at character {finding['loc'][-1]}: {context.get('error', 'syntax error')}."
            )
        case "model_attributes_type" | "model_type" if not param:
            return "The body must be a JSON object, sent with the header content-type: application/json."
        case "union_tag_not_found":
            return f"{name} must be an object with a `{context['discriminator'].strip(chr(39))}`."
        case "union_tag_invalid":
            return f"{name} has the type '{context['tag']}', which is not supported: use {context['expected_tags']}."
        case "unsupported_parameter" | "invalid_value":
            return f"{name} {finding['msg'].removesuffix('.')}."
        case _:
            wanted = " or ".join(dict.fromkeys(requirement(other["msg"]) for other in alike))
            return f"{name} {wanted.replace(' or must be ', ' or ')}, but is {_shown(finding['input'])}."


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case _:
            return _brief.repr(value)


def _sendable(text: str) -> str:
    # A client's JSON may name fields by half a surrogate pair, and by paths without end.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_SENTENCE_CHARS else f"{text[:MAX_SENTENCE_CHARS]} …"


_brief = reprlib.Repr()
_brief.maxstring = 60
