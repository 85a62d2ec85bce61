"""The tables of the conversation store over versions, in SQLite and in PostgreSQL."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from held import hold
from sqlalchemy import inspect

from latentcrs.base.errors import UserError
from latentcrs.store import migrations
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.database import open_engine, store_url
from latentcrs.store.tables import SCHEMA, TABLES, VERSIONS

MADE = set(TABLES.tables) | {VERSIONS}


def test_migrations_reach_exactly_the_tables_of_this_version(store: ConversationStore) -> None:
    assert ScriptDirectory.from_config(migrations.configuration()).get_heads() == [SCHEMA]
    engine = open_engine(store.url)
    with engine.begin() as connection:
        assert set(inspect(connection).get_table_names()) == MADE
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS, "compare_type": True})
        assert compare_metadata(context, TABLES) == []
        command.check(migrations.configuration(connection))


def test_down_to_nothing_and_up_again(store: ConversationStore, database: str) -> None:
    hold(store, "c", 1)
    with open_engine(store.url).begin() as connection:
        command.downgrade(migrations.configuration(connection), "base")
        assert inspect(connection).get_table_names() == [VERSIONS]
    hold(ConversationStore(database), "c", 1)


NEXT = """
    import sqlalchemy as sa
    from alembic import op

    revision, down_revision = "0004", "0003"

    def altered():
        # In SQLite a table that others refer to is replaced by another of its name, which is the harder way.
        recreate = "always" if op.get_bind().dialect.name == "sqlite" else "never"
        return op.batch_alter_table("conversations", recreate=recreate)

    def upgrade():
        op.add_column("turns", sa.Column("mood", sa.String))
        with altered() as table:
            table.add_column(sa.Column("mood", sa.String, server_default="fair"))
        {last}

    def downgrade():
        with altered() as table:
            table.drop_column("mood")
        op.drop_column("turns", "mood")
"""


def next_version(folder: Path, patch: pytest.MonkeyPatch, last: str = "pass") -> None:
    """Make this version one that has a further migration."""
    folder.mkdir()
    (folder / "m0004_mood.py").write_text(dedent(NEXT).format(last=last), "utf-8")
    shipped, configuration = Path(migrations.__file__).parent / "versions", migrations.configuration

    def configured(*arguments: object) -> object:
        config = configuration(*arguments)
        config.set_main_option("version_locations", f"{shipped}{os.pathsep}{folder}".replace("%", "%%"))
        return config

    patch.setattr(migrations, "configuration", configured)
    patch.setattr(migrations, "SCHEMA", "0004")


def columns(store: ConversationStore, table: str) -> list[str]:
    with open_engine(store.url).connect() as connection:
        return [column["name"] for column in inspect(connection).get_columns(table)]


def test_an_older_schema_is_upgraded_and_a_newer_one_refused(
    store: ConversationStore, database: str, tmp_path: Path
) -> None:
    hold(store, "c", 5, "alice")
    kept = store.load("c")
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "next", patch)
        newer = ConversationStore(database)
        assert "mood" in columns(store, "conversations") and "mood" in columns(store, "turns")
        assert newer.load("c") == kept
    with pytest.raises(UserError, match=r"newer version of LatentCRS \(its tables are at '0004'.*upgrade LatentCRS"):
        ConversationStore(database)
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "again", patch)
        with open_engine(store.url).execution_options(foreign_keys=False).begin() as connection:
            command.downgrade(migrations.configuration(connection), "0003")
    older = ConversationStore(database)
    assert older.load("c") == kept
    assert older.forget("c") == 1
    with open_engine(store.url).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM turns").scalar() == 0


def test_processes_of_the_next_version_that_open_an_older_store_at_once_upgrade_it_once(
    store: ConversationStore, database: str, tmp_path: Path
) -> None:
    hold(store, "c", 3, "alice")
    kept = store.load("c")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(6) as pool:
        next_version(tmp_path / "next", patch)
        assert [newer.load("c") for newer in pool.map(ConversationStore, [database] * 6)] == [kept] * 6
    assert columns(store, "turns").count("mood") == columns(store, "conversations").count("mood") == 1


def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    store: ConversationStore, database: str, tmp_path: Path
) -> None:
    hold(store, "c", 2)
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "next", patch, last='op.execute("SELECT 1 FROM nowhere")')
        missing = r'no such table: nowhere|relation "nowhere" does not exist'
        with pytest.raises(UserError, match=rf"cannot be used \(({missing})\)"):
            ConversationStore(database)
    assert "mood" not in columns(store, "conversations") + columns(store, "turns")
    assert len(ConversationStore(database).load("c").turns) == 2


def test_a_database_of_something_else_is_left_alone(database: str) -> None:
    url = store_url(database)
    with open_engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(UserError, match=r"holds something else \(a table 'recipes'\).*a database of its own"):
        ConversationStore(database)
    with open_engine(url).connect() as connection:
        assert inspect(connection).get_table_names() == ["recipes"]
