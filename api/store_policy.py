"""What the stores of a question say by their metadata of the answers made from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.state import State
from generation.model import OrdersPolicy
from indexes.catalog import stores
from indexes.errors import InvalidRequest

ORDERS_KEY = "citewell.orders"
PRECISION_KEY = "citewell.answer_precision"
_STRICTEST_FIRST = (OrdersPolicy.EXCLUDE, OrdersPolicy.FLAG, OrdersPolicy.ALLOW)


@dataclass(frozen=True, slots=True)
class StorePolicy:
    """Of several stores the strictest: what is done with passages that give orders, and how sure an answer must be.

    `answer_precision` is None where no store asks for one: what the settings say holds.
    """

    orders: OrdersPolicy
    answer_precision: float | None


async def store_policy(state: State, project: str, store_ids: Sequence[str]) -> StorePolicy:
    """The policy of these stores; one that says nothing of orders has that of the settings.

    Raises NotFound as the search does, and InvalidRequest where a store says something that is neither.
    """
    async with state.database.read() as session:
        said = [(await stores.get(session, project, one)).meta for one in store_ids]
    default = state.settings.generation.orders
    orders = {_orders(meta[ORDERS_KEY]) if ORDERS_KEY in meta else default for meta in said}
    return StorePolicy(
        orders=next(policy for policy in _STRICTEST_FIRST if policy in orders),
        answer_precision=max((_precision(meta[PRECISION_KEY]) for meta in said if PRECISION_KEY in meta), default=None),
    )


def _orders(said: object) -> OrdersPolicy:
    if said not in _STRICTEST_FIRST:
        raise _invalid(ORDERS_KEY, said, f"one of {', '.join(_STRICTEST_FIRST)}")
    return OrdersPolicy(str(said))


def _precision(said: object) -> float:
    try:
        value = float(str(said))
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise _invalid(PRECISION_KEY, said, "a number between 0 and 1")
    return value


def _invalid(key: str, said: object, allowed: str) -> InvalidRequest:
    return InvalidRequest(f"The metadata {key} of the store is {said!r}. Set it to {allowed}, or remove it.")
