"""What the stores of a question say of passages that give orders to a language model."""

from collections.abc import Sequence

from api.state import State
from generation.model import OrdersPolicy
from indexes.catalog import stores

METADATA_KEY = "citewell.orders"
_STRICTEST_FIRST = (OrdersPolicy.EXCLUDE, OrdersPolicy.FLAG, OrdersPolicy.ALLOW)


async def orders_policy(state: State, project: str, store_ids: Sequence[str]) -> OrdersPolicy:
    """The strictest policy of the stores, by their metadata; a store that names none has that of the settings.

    Raises NotFound as the search does.
    """
    async with state.database.read() as session:
        said = [(await stores.get(session, project, one)).meta.get(METADATA_KEY) for one in store_ids]
    default = state.settings.generation.orders
    wanted = {OrdersPolicy(each) if each in _STRICTEST_FIRST else default for each in said}
    return next(policy for policy in _STRICTEST_FIRST if policy in wanted)
