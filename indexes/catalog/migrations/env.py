"""Runs migrations on the connection that `schema.upgrade` hands over. Alembic calls this file; nothing imports it."""

from alembic import context

from indexes.catalog.tables import Base
from indexes.catalog.version_tables import Holding

_Every: type[Base] = Holding  # importing it makes the metadata know the tables of both files
context.configure(connection=context.config.attributes["connection"], target_metadata=_Every.metadata)
context.run_migrations()
