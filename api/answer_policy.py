"""How sure an answer must be: what the stores of a question say, and whether a filter was set."""

from collections.abc import Sequence
from dataclasses import replace

from api.state import State
from generation.model import Question
from indexes.catalog import stores
from indexes.errors import InvalidRequest

METADATA_KEY = "citewell.answer_precision"


async def answer_policy(
    state: State, project: str, store_ids: Sequence[str], question: Question, *, filtered: bool
) -> Question:
    """`question` with the highest precision that its stores ask for by their metadata; else the settings' holds.

    Raises NotFound as the search does, and InvalidRequest where a store asks for something that is no precision.
    """
    async with state.database.read() as session:
        said = [(await stores.get(session, project, one)).meta.get(METADATA_KEY) for one in store_ids]
    wanted = max((_precision(each) for each in said if each is not None), default=None)
    return replace(question, answer_precision=wanted, filtered=filtered)


def _precision(said: object) -> float:
    try:
        value = float(str(said))
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise InvalidRequest(
            f"The metadata {METADATA_KEY} of the store is {said!r}. Set it to a number between 0 and 1, or remove it."
        )
    return value
