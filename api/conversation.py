"""What was said before in a conversation of stored responses."""

from api.state import State
from generation.model import Turn
from indexes.catalog import responses
from indexes.errors import NotFound

_MOST_TURNS = 40


async def earlier(state: State, project: str, response_id: str | None) -> tuple[list[Turn], set[str]]:
    """What was said before, oldest first, through the chain of responses that each continue another; and of what it was
    made, without what was deleted since: that text is gone from it already.

    A response that was deleted ends the chain where others continue it. Raises NotFound for `response_id` itself.
    """
    turns: list[Turn] = []
    sources: set[str] = set()
    async with state.database.read() as session:
        while response_id is not None and len(turns) < _MOST_TURNS:
            try:
                row = await responses.get(session, project, response_id)
            except NotFound:
                if not turns:
                    raise
                break
            asked = [Turn(item["role"], item["content"][0]["text"]) for item in row.input]
            said = [
                Turn("assistant", item["content"][0]["text"])
                for item in row.body["output"]
                if item["type"] == "message"
            ]
            turns = [turn for turn in asked if turn.role in ("user", "assistant")] + said + turns
            if row.redacted_at is None:
                sources |= await responses.sources(session, row.id)
            response_id = row.body["previous_response_id"]
    return turns, sources
