"""What language models took by day, for budgets."""

import time

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from indexes.catalog.answer_tables import SpendingRow
from indexes.catalog.database import Database

_DAY_S = 86_400


class Spending:
    """A `Ledger` that all processes of an installation share. Days are those of UTC."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent_today(self, llm: str) -> int:
        """See `Ledger`."""
        today = select(SpendingRow.tokens).where(SpendingRow.day == _today(), SpendingRow.llm == llm)
        async with self._database.read() as session:
            return await session.scalar(today) or 0

    async def spend(self, llm: str, tokens: int) -> None:
        """See `Ledger`."""
        async with self._database.write() as session:
            known = session.get_bind().dialect.name
            insert = (postgresql if known == "postgresql" else sqlite).insert(SpendingRow)
            added = {"tokens": SpendingRow.tokens + insert.excluded.tokens}
            row = {"day": _today(), "llm": llm, "tokens": tokens}
            await session.execute(insert.on_conflict_do_update(index_elements=["day", "llm"], set_=added), [row])


def _today() -> int:
    return int(time.time() // _DAY_S)
