"""Runs migrations on the connection that `schema.upgrade` hands over. Alembic calls this file; nothing imports it."""

from alembic import context

from indexes.catalog.prompt_tables import Prompt
from indexes.catalog.tables import Base
from indexes.catalog.version_tables import Holding

_EVERY: tuple[type[Base], ...] = (Prompt, Holding)  # importing them makes the metadata know the tables of their files
context.configure(connection=context.config.attributes["connection"], target_metadata=_EVERY[0].metadata)
context.run_migrations()
