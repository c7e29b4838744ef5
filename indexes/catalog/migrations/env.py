"""Runs migrations on the connection that `schema.upgrade` hands over. Alembic calls this file; nothing imports it."""

from alembic import context

from indexes.catalog.answer_tables import Trace
from indexes.catalog.prompt_tables import Prompt
from indexes.catalog.tables import Base
from indexes.catalog.version_tables import Holding

# Importing one of them makes the metadata know all tables of its file.
_EVERY: tuple[type[Base], ...] = (Trace, Prompt, Holding)
context.configure(connection=context.config.attributes["connection"], target_metadata=_EVERY[0].metadata)
context.run_migrations()
