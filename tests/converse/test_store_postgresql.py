"""The conversation store in PostgreSQL: what can be wrong with its server, and its SQL without a server too."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from alembic import command
from held import after, hold, turn
from sqlalchemy import event, make_url
from sqlalchemy.dialects import postgresql as dialects

from latentcrs.base.errors import UserError
from latentcrs.store import migrations
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.database import open_engine, store_url
from latentcrs.store.tables import SCHEMA, VERSIONS
from postgres_server import administered, new_database

SECRET = "pass-and-w0rd"


@pytest.fixture
def held(postgresql: str) -> ConversationStore:
    """A store in PostgreSQL with a conversation of two turns."""
    store = ConversationStore(postgresql)
    hold(store, "c", 2)
    return store


def end_connections(url: str) -> int:
    """End all connections to a database, as a restart of its server does; how many there were."""
    others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND "
    with administered(url).connect() as connection:
        count: int = connection.exec_driver_sql(others + "pid <> pg_backend_pid()").scalar_one()
        return count


def test_a_store_goes_on_after_its_server_ended_all_connections(held: ConversationStore, postgresql: str) -> None:
    assert end_connections(postgresql) > 0
    held.commit("c", turn(3), after(3))
    assert end_connections(postgresql) > 0
    assert len(held.load("c").turns) == 3


def test_a_connection_that_is_lost_within_a_turn_leaves_nothing_of_it(
    held: ConversationStore, postgresql: str
) -> None:
    ends = []

    def end(connection: object, statement: str, *rest: object) -> None:
        if statement == "UPDATE" and not ends:  # the turn is in, its session is not
            ends.append(end_connections(postgresql))

    event.listen(held._engine, "before_execute", lambda connection, clause, *rest: end(connection, _verb(clause)))
    with pytest.raises(UserError, match=r"cannot be used \(terminating connection"):
        held.commit("c", turn(3), after(3))
    assert len(ends) == 1 and len(held.load("c").turns) == 2
    held.commit("c", turn(3), after(3))
    assert len(held.load("c").turns) == 3


def _verb(clause: object) -> str:
    return str(clause).split()[0]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_takes_no_unicode_is_refused(encoding: str) -> None:
    with new_database(f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'") as url:
        for _ in range(2):
            with pytest.raises(UserError, match=f"in {encoding}, and conversations are kept in UTF8; make another"):
                ConversationStore(url)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"password": SECRET}, 'password authentication failed for user "latentcrs"'),
        ({"username": SECRET, "password": SECRET}, "password authentication failed"),
        ({"database": "nothere"}, 'database "nothere" does not exist'),
        ({"query": {"sslmode": "require"}}, "server does not support SSL"),
    ],
    ids=["password", "user", "database", "encryption"],
)
def test_what_a_server_refuses_is_said_and_no_password_shown(
    postgresql: str, wrong: dict[str, object], message: str
) -> None:
    asked = make_url(postgresql).set(**wrong)
    with pytest.raises(UserError, match=rf"cannot be used \(.*{message}.*check that the server runs, and the") as no:
        ConversationStore(asked.render_as_string(hide_password=False))
    assert SECRET not in str(no.value) and str(make_url(postgresql).password) not in str(no.value)
    assert "\n" not in str(no.value)


def test_who_may_only_read_is_told_so(held: ConversationStore, postgresql: str) -> None:
    reader = store_url(postgresql).update_query_dict({"options": "-c default_transaction_read_only=on"})
    store = ConversationStore(reader.render_as_string(hide_password=False))
    assert len(store.load("c").turns) == 2
    with pytest.raises(UserError, match=r"cannot be used \(cannot execute .* in a read-only transaction\)"):
        store.commit("c", turn(3), after(3))
    assert len(held.load("c").turns) == 2


# Without a server.


def test_a_server_that_does_not_answer() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        UserError, match=r"postgresql://localhost:1/name cannot be used .* check that the server runs"
    ) as no:
        ConversationStore(f"postgresql://user:{SECRET}@localhost:1/name")
    assert SECRET not in str(no.value)


def test_the_url_has_the_last_word_on_how_to_connect() -> None:
    pytest.importorskip("psycopg")
    asked: list[object] = []
    for query in ("", "?connect_timeout=3"):
        engine = open_engine(store_url(f"postgresql://user@localhost:1/name{query}"))
        event.listen(engine, "do_connect", lambda *given: asked.append(given[3]))
        with pytest.raises(Exception, match="refused"):
            engine.connect()
    assert [given["connect_timeout"] for given in asked] == [10, "3"]


def test_the_migration_is_postgresql() -> None:
    output = io.StringIO()
    command.upgrade(migrations.configuration(None, "postgresql", output), "head", sql=True)
    sql = output.getvalue()
    assert sql.startswith("BEGIN;") and sql.rstrip().endswith("COMMIT;")
    assert f"CREATE TABLE {VERSIONS} (" in sql and f"(version_num) VALUES ('{SCHEMA}')" in sql
    assert "CONSTRAINT pk_events PRIMARY KEY (owner, catalogue, user_id, item_id)" in sql
    assert "session JSON NOT NULL" in sql and "created TIMESTAMP WITHOUT TIME ZONE NOT NULL" in sql
    assert "CONSTRAINT pk_turns PRIMARY KEY (conversation, number)" in sql
    assert "FOREIGN KEY(conversation) REFERENCES conversations (id) ON DELETE CASCADE" in sql


def test_the_statements_are_postgresql(tmp_path: Path) -> None:
    store, ran = ConversationStore(str(tmp_path / "conversations.sqlite")), []
    event.listen(store._engine, "before_execute", lambda _, statement, *rest: ran.append(statement))
    hold(store, "c", 2, "alice")
    store.load("c")
    store.summaries("", "alice")
    store.forget("c")
    store.forget_user("alice")
    compiled = [str(statement.compile(dialect=dialects.dialect())) for statement in ran]
    assert any(sql.endswith("FOR UPDATE") for sql in compiled)
    assert {sql.split()[0] for sql in compiled} == {"INSERT", "SELECT", "UPDATE", "DELETE"}
