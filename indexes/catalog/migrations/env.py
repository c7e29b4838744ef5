"""Runs migrations on the connection that `schema.upgrade` hands over. Alembic calls this file; nothing imports it."""

from alembic import context

from indexes.catalog.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
