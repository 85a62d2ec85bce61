"""What Alembic runs for every command: see `migrations.configuration`.

To change the tables: change `tables.py`, add a file to `versions` (the next number, `down_revision` the one before),
name it in `tables.SCHEMA`, and let the tests compare. Tables are altered with `op.batch_alter_table`, for SQLite.
"""

from alembic import context

from latentcrs.store.tables import TABLES, VERSIONS

context.configure(
    connection=context.config.attributes["connection"],
    dialect_name=context.config.attributes["dialect"] or None,
    target_metadata=TABLES,
    version_table=VERSIONS,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
