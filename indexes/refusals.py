"""What it means here when a model server refuses a request, whoever made the server."""

import httpx
import orjson

from indexes.errors import InvalidRequest, Overloaded, Unavailable


def refusal(name: str, reply: httpx.Response) -> InvalidRequest | Overloaded | Unavailable:
    """The error for a reply, already read, of the server that is called `name`."""
    status, said = reply.status_code, server_message(reply.content)
    match status:
        case 400 | 413 | 422:
            return InvalidRequest(f"{name} refuses the request: {said}")
        case 429:
            after = reply.headers.get("retry-after", "")
            return Overloaded(f"{name} is busy: {said}", retry_after_s=float(after) if after.isdigit() else 1.0)
        case 401 | 403 | 404:
            return Unavailable(f"{name} is not set up right (HTTP {status}): {said} Its operator must mend that.")
        case _:
            return Unavailable(f"{name} failed (HTTP {status}): {said} Try again.")


def no_answer(name: str, error: httpx.HTTPError) -> Unavailable:
    """The error for a request that got no reply."""
    return Unavailable(f"{name} did not answer: {str(error) or type(error).__name__}. Try again.")


def server_message(body: bytes) -> str:
    """The server's own words: `{"error": {"message"}}`, `{"message"}` as older vLLM has it, `{"error"}` of TEI."""
    try:
        data = orjson.loads(body)
        error = data.get("error", data)
        return str(error["message"] if isinstance(error, dict) else error)[:500]
    except (orjson.JSONDecodeError, AttributeError, KeyError):
        return body[:200].decode("utf-8", "replace") or "no reason given."
