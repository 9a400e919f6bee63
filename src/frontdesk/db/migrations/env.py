"""Alembic's entry: runs the versions on the connection that `db/migrate.py` opened and locked."""

from alembic import context

# Not within a transaction: each version has one, and holds its locks no longer.
connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
