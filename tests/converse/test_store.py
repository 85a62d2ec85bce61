"""The conversation store: what comes back, what is refused, what is forgotten, and its tables over versions."""

from __future__ import annotations

import io
import json
import logging
import os
import sqlite3
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, inspect
from sqlalchemy.dialects import postgresql

from latentcrs.converse import migrations
from latentcrs.converse.database import open_engine, place, store_url
from latentcrs.converse.events import Event
from latentcrs.converse.session import Session, Turn, TurnItem
from latentcrs.converse.store import ConversationStore
from latentcrs.converse.tables import SCHEMA, TABLES, VERSIONS
from latentcrs.data.rules import Rule
from latentcrs.errors import UserError
from latentcrs.language.extract import HeardRule

SECRET = "pass-and-w0rd"
MADE = set(TABLES.tables) | {VERSIONS}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "conversations.sqlite"


@pytest.fixture
def store(file: Path) -> ConversationStore:
    return ConversationStore(str(file))


def turn(number: int, utterance: str = "a comedy", kind: str = "request", **more: object) -> Turn:
    return Turn(number=number, utterance=utterance, kind=kind, variant="f", **more)


def after(number: int, user: str | None = None) -> Session:
    return Session(user=user, turns=number, said=["a comedy"] * number)


def hold(store: ConversationStore, id: str, turns: int, user: str | None = None, owner: str = "") -> None:
    store.begin(id, Session(user=user), "movies", owner)
    for number in range(1, turns + 1):
        store.commit(id, turn(number, f"a comedy of {id}, {number}"), after(number, user))


# What comes back.


def test_a_conversation_comes_back_as_it_was(store: ConversationStore, file: Path) -> None:
    heard = HeardRule(rule=Rule(column="year", op="between", value=[1990.0, 1999.0]), certainty=0.3, words="the 90s")
    item = TurnItem(
        item_id="17", title="Amélie", score=1 / 3, intents=["quirky"], words=["90s"], fails=["genres: War"]
    )
    first = turn(
        1, "the 90s", text="With year 1990 to 1999:", items=[item], tokens=(31, 7), milliseconds={"act": 0.11}
    )
    session = Session(user="u", history=["3", "2"], k=7, turns=1, said=["the 90s"], rules=[heard], listed=["17"])
    store.begin("c", Session(user="u", history=["3", "2"], k=7), "movies", "acme")
    store.commit("c", first, session)
    stored = ConversationStore(str(file)).load("c", "acme")
    assert (stored.id, stored.owner, stored.user, stored.bundle) == ("c", "acme", "u", "movies")
    assert stored.turns == [first]
    assert stored.session == session
    assert stored.created <= stored.updated and stored.updated.utcoffset() is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.characters(), max_size=200),
    id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_any_words_come_back(store: ConversationStore, words: str, id: str) -> None:
    store.forget(id)
    store.begin(id, Session(said=[words]), "movies")
    store.commit(id, turn(1, words, text=words), Session(turns=1, said=[words]))
    stored = store.load(id)
    assert (stored.id, stored.turns[0].text, stored.session.said) == (id, words, [words])
    assert json.loads(json.dumps(store.export(id)))["turns"][0]["utterance"] == words
    assert len(store.summaries()[0].words) <= 80


def test_summaries_are_of_one_owner_and_the_newest_first(store: ConversationStore) -> None:
    hold(store, "old", 2, "alice")
    hold(store, "new", 1, "bob")
    hold(store, "theirs", 1, "alice", "acme")
    store.commit("old", turn(3), after(3, "alice"))
    assert [(found.id, found.user, found.turns) for found in store.summaries()] == [
        ("old", "alice", 3),
        ("new", "bob", 1),
    ]
    assert {found.bundle for found in store.summaries()} == {"movies"}
    assert [found.id for found in store.summaries(user="bob")] == ["new"]
    assert [found.id for found in store.summaries("acme")] == ["theirs"]
    assert store.summaries("acme", "bob") == []


def test_the_words_of_a_summary_are_the_first_that_were_said(store: ConversationStore) -> None:
    store.begin("c", Session(), "movies")
    assert store.summaries()[0].words == ""
    store.commit("c", turn(1, "/variant", "command"), after(1))
    store.commit("c", turn(2, "  a\n comedy " + "or a drama " * 20), after(2))
    store.commit("c", turn(3, "from the 90s"), after(3))
    words = store.summaries()[0].words
    assert words.startswith("a comedy or a drama") and words.endswith("…") and len(words) <= 80


def test_an_export_is_json_and_has_all_of_it(store: ConversationStore) -> None:
    hold(store, "c", 3, "alice")
    exported = json.loads(json.dumps(store.export("c")))
    assert [Turn.model_validate(said) for said in exported["turns"]] == store.load("c").turns
    assert Session.model_validate(exported["session"]) == after(3, "alice")
    assert exported["user"] == "alice" and exported["created"].endswith("Z")


# What is refused.


def test_the_same_turn_twice_changes_nothing(store: ConversationStore) -> None:
    hold(store, "c", 2)
    before = store.load("c")
    for number in (2, 1):
        store.commit("c", turn(number, f"a comedy of c, {number}"), after(number))
    assert store.load("c") == before


@pytest.mark.parametrize(
    ("said", "session", "message"),
    [
        (turn(2, "a drama"), after(2), "another turn 2 already"),
        (turn(1, "a drama"), after(1), "another turn 1 already"),
        (turn(2, "a comedy of c, 2"), Session(turns=2), "another turn 2 already"),
        (turn(4), after(4), "has 2 turns, so its next is turn 3, not 4"),
        (turn(0), after(0), "another turn 0 already"),
    ],
)
def test_another_turn_of_a_number_and_a_gap_are_refused(
    store: ConversationStore, said: Turn, session: Session, message: str
) -> None:
    hold(store, "c", 2)
    before = store.load("c")
    with pytest.raises(UserError, match=message):
        store.commit("c", said, session)
    assert store.load("c") == before


def test_a_turn_comes_with_the_session_after_it(store: ConversationStore) -> None:
    store.begin("c", Session(), "movies")
    with pytest.raises(ValueError, match="turn 1, but the session is that after turn 0"):
        store.commit("c", turn(1), Session())
    with pytest.raises(ValueError, match="before its first turn"):
        store.begin("d", after(1), "movies")


def test_an_id_is_begun_once(store: ConversationStore) -> None:
    hold(store, "c", 1)
    with pytest.raises(UserError, match="There is a conversation 'c' already"):
        store.begin("c", Session(), "movies", "acme")
    assert len(store.load("c").turns) == 1


def test_nobody_finds_what_another_owner_has(store: ConversationStore) -> None:
    hold(store, "c", 1, "alice", "acme")
    for owner in ("", "other"):
        for asked in (store.load, store.export):
            with pytest.raises(UserError, match="There is no conversation 'c'"):
                asked("c", owner)
        assert store.forget("c", owner) == store.forget_user("alice", owner) == 0
    assert len(store.load("c", "acme").turns) == 1
    with pytest.raises(UserError, match="There is no conversation 'd'"):
        store.commit("d", turn(1), after(1))


# What is forgotten.


def test_what_is_forgotten_is_gone_from_the_file(store: ConversationStore, file: Path) -> None:
    words = "gefilte fish and the meaning of liff"
    hold(store, "kept", 3)
    for id in ("c", "d"):
        store.begin(id, Session(user="alice"), "movies")
        for number in range(1, 40):
            store.commit(id, turn(number, words * 50), Session(user="alice", turns=number, said=[words] * number))
    kept = store.load("kept")
    assert words.encode() in b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert store.forget("c") == 1 and store.forget("c") == 0
    with pytest.raises(UserError, match="There is no conversation 'c'; it was never begun here, or was forgotten"):
        store.commit("c", turn(40), after(40))
    assert store.forget_user("alice") == 1
    assert store.forget_user("alice") == 0
    assert [found.id for found in store.summaries()] == ["kept"]
    assert store.load("kept") == kept
    assert words.encode() not in b"".join(path.read_bytes() for path in file.parent.iterdir())


# The tables over versions.


def test_migrations_reach_exactly_the_tables_of_this_version(store: ConversationStore) -> None:
    assert ScriptDirectory.from_config(migrations.configuration()).get_heads() == [SCHEMA]
    engine = open_engine(store.url)
    with engine.begin() as connection:
        assert set(inspect(connection).get_table_names()) == MADE
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS, "compare_type": True})
        assert compare_metadata(context, TABLES) == []
        command.check(migrations.configuration(connection))


def test_down_to_nothing_and_up_again(store: ConversationStore, file: Path) -> None:
    hold(store, "c", 1)
    with open_engine(store.url).begin() as connection:
        command.downgrade(migrations.configuration(connection), "base")
        assert inspect(connection).get_table_names() == [VERSIONS]
    hold(ConversationStore(str(file)), "c", 1)


NEXT = """
    import sqlalchemy as sa
    from alembic import op

    revision, down_revision = "0003", "0002"

    def upgrade():
        op.add_column("turns", sa.Column("mood", sa.String))
        with op.batch_alter_table("conversations", recreate="always") as table:
            table.add_column(sa.Column("mood", sa.String, server_default="fair"))
        {last}

    def downgrade():
        with op.batch_alter_table("conversations", recreate="always") as table:
            table.drop_column("mood")
        op.drop_column("turns", "mood")
"""


def next_version(folder: Path, patch: pytest.MonkeyPatch, last: str = "pass") -> None:
    """Make this version one that has a further migration."""
    folder.mkdir()
    (folder / "m0003_mood.py").write_text(dedent(NEXT).format(last=last), "utf-8")
    shipped, configuration = Path(migrations.__file__).parent / "versions", migrations.configuration

    def configured(*arguments: object) -> object:
        config = configuration(*arguments)
        config.set_main_option("version_locations", f"{shipped}{os.pathsep}{folder}".replace("%", "%%"))
        return config

    patch.setattr(migrations, "configuration", configured)
    patch.setattr(migrations, "SCHEMA", "0003")


def columns(file: Path, table: str) -> list[str]:
    with sqlite3.connect(file) as connection:
        return [row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", [table])]


def test_an_older_schema_is_upgraded_and_a_newer_one_refused(
    store: ConversationStore, file: Path, tmp_path: Path
) -> None:
    hold(store, "c", 5, "alice")
    kept = store.load("c")
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "next", patch)
        newer = ConversationStore(str(file))
        assert "mood" in columns(file, "conversations") and "mood" in columns(file, "turns")
        assert newer.load("c") == kept
    with pytest.raises(UserError, match=r"newer version of LatentCRS \(its tables are at '0003'.*upgrade LatentCRS"):
        ConversationStore(str(file))
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "again", patch)
        with open_engine(store.url).execution_options(foreign_keys=False).begin() as connection:
            command.downgrade(migrations.configuration(connection), "0002")
    older = ConversationStore(str(file))
    assert older.load("c") == kept
    assert older.forget("c") == 1
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (0,)


def test_a_store_of_the_first_version_keeps_its_conversations_and_gets_events(
    store: ConversationStore, file: Path
) -> None:
    hold(store, "c", 2, "alice")
    kept = store.load("c")
    with open_engine(store.url).execution_options(foreign_keys=False).begin() as connection:
        command.downgrade(migrations.configuration(connection), "0001")
        assert not {"events", "items"} & set(inspect(connection).get_table_names())
    newer = ConversationStore(str(file))
    assert newer.load("c") == kept
    liked = Event(item_id="7", kind="like", at=datetime(2026, 1, 1, tzinfo=UTC))
    newer.add_event("", "films", "alice", liked)
    newer.add_event("", "films", "alice", refused := liked.model_copy(update={"kind": "refuse"}))
    assert newer.events("", "alice", "films") == [refused] == newer.events("", "alice")
    assert newer.events("", "alice", "games") == newer.events("shop", "alice") == newer.events("", "bob") == []
    newer.add_items("films", [{"item_id": "x"}, {"item_id": "y"}])
    newer.add_items("films", [{"item_id": "z"}])
    assert newer.items_after("films", 1) == [(2, {"item_id": "y"}), (3, {"item_id": "z"})]
    assert (newer.items_joined("films"), newer.items_joined("games")) == (3, 0)
    assert (newer.head("c"), newer.head("c", "shop"), newer.head("d")) == (2, None, None)
    assert newer.forget_events("", "alice", "films", "7") == 1 and newer.events("", "alice") == []


def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    store: ConversationStore, file: Path, tmp_path: Path
) -> None:
    hold(store, "c", 2)
    with pytest.MonkeyPatch.context() as patch:
        next_version(tmp_path / "next", patch, last='op.execute("SELECT 1 FROM nowhere")')
        with pytest.raises(UserError, match=r"cannot be used \(no such table: nowhere\)"):
            ConversationStore(str(file))
    assert "mood" not in columns(file, "conversations") + columns(file, "turns")
    assert len(ConversationStore(str(file)).load("c").turns) == 2


# PostgreSQL, as far as it goes without a server.


def test_the_migration_is_postgresql() -> None:
    output = io.StringIO()
    command.upgrade(migrations.configuration(None, "postgresql", output), "head", sql=True)
    sql = output.getvalue()
    assert sql.startswith("BEGIN;") and sql.rstrip().endswith("COMMIT;")
    assert f"CREATE TABLE {VERSIONS} (" in sql and f"SET version_num='{SCHEMA}'" in sql
    assert "CONSTRAINT pk_events PRIMARY KEY (owner, catalogue, user_id, item_id)" in sql
    assert "session JSON NOT NULL" in sql and "created TIMESTAMP WITHOUT TIME ZONE NOT NULL" in sql
    assert "CONSTRAINT pk_turns PRIMARY KEY (conversation, number)" in sql
    assert "FOREIGN KEY(conversation) REFERENCES conversations (id) ON DELETE CASCADE" in sql


def test_the_statements_are_postgresql(store: ConversationStore) -> None:
    ran = []
    event.listen(store._engine, "before_execute", lambda _, statement, *rest: ran.append(statement))
    hold(store, "c", 2, "alice")
    store.load("c")
    store.summaries("", "alice")
    store.forget("c")
    store.forget_user("alice")
    compiled = [str(statement.compile(dialect=postgresql.dialect())) for statement in ran]
    assert any(sql.endswith("FOR UPDATE") for sql in compiled)
    assert {sql.split()[0] for sql in compiled} == {"INSERT", "SELECT", "UPDATE", "DELETE"}


# Where it is, and what can be wrong with that.


def test_the_default_is_a_file_of_the_platform_or_what_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_STORE", raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / name))
    assert place(ConversationStore().url) == str(tmp_path / "latentcrs" / "conversations.sqlite")
    monkeypatch.setenv("LATENTCRS_STORE", str(tmp_path / "a.sqlite"))
    assert place(ConversationStore().url) == str(tmp_path / "a.sqlite")
    monkeypatch.setenv("LATENTCRS_STORE", f"sqlite:///{tmp_path}/b%23.sqlite")
    assert place(ConversationStore().url) == str(tmp_path / "b#.sqlite")
    monkeypatch.chdir(tmp_path)
    assert place(ConversationStore("c.sqlite").url) == str(tmp_path / "c.sqlite")
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "c.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://user:{secret}@host/name", "cannot be kept in 'mysql'; give a path, sqlite:///conversations.sqlite"),
        ("postgres://user:{secret}@host/name", r"'postgres'; give .* postgresql\+psycopg://user:password@host"),
        ("postgresql+psycopg2://user:{secret}@host/name", r"'postgresql\+psycopg2'; give a path"),
        ("postgresql://user:{secret}", "URL of the conversation store cannot be read; give a path"),
        ("postgresql://user:1@{secret}/name@host/name", "special characters in its password are written as in %40"),
        ("postgresql://user:1@{secret}@host/name", "special characters in its password are written as in %40"),
        ("postgresql+psycopg://user:{secret}@host:port/name", "URL of the conversation store cannot be read"),
        ("sqlite://", "wants a file, not ''"),
        ("sqlite:///:memory:", "wants a file, not ':memory:'"),
        (":memory:", "wants a file, not ':memory:'"),
        ("sqlite:///file:a?mode=memory&uri=true", "wants a file, not 'file:a'"),
    ],
)
def test_a_wrong_address_is_refused_and_no_password_shown(
    address: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError, match=message) as refused:
        ConversationStore(address.format(secret=SECRET))
    assert SECRET not in str(refused.value) and SECRET not in caplog.text
    assert "\n" not in str(refused.value)


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"need the package psycopg; install it: pip install 'latentcrs\[postgres\]'"):
        ConversationStore(f"postgresql://user:{SECRET}@localhost/name")


def test_a_postgresql_server_that_does_not_answer() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        UserError, match=r"postgresql://localhost:1/name cannot be used .* check that the server runs"
    ) as no:
        ConversationStore(f"postgresql://user:{SECRET}@localhost:1/name")
    assert SECRET not in str(no.value)


def test_a_postgresql_address_is_shown_without_user_and_password() -> None:
    url = store_url(f"postgresql://someone:{SECRET}%40@host:5433/name?sslmode=require")
    assert place(url) == "postgresql://host:5433/name"
    assert url.password == f"{SECRET}@" and url.drivername == "postgresql+psycopg"


def test_a_file_that_is_no_database(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("a list of films\n" * 1000)
    with pytest.raises(UserError, match=r"conversations.sqlite cannot be used \(file is not a database\); check"):
        ConversationStore(str(file))
    assert file.read_text() == "a list of films\n" * 1000


def test_a_damaged_file(store: ConversationStore, file: Path) -> None:
    hold(store, "c", 60)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be used \(database disk image is malformed\)"):
        ConversationStore(str(file)).load("c")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE turns SET turn = '{'", r"cannot be read \(Expecting property name"),
        ("UPDATE turns SET turn = '{}'", r"\(Turn: number: Field required\): it is damaged, or another version"),
        ("UPDATE conversations SET session = json_set(session, '$.mood', 1)", r"\(Session: mood: Extra inputs"),
        ("DELETE FROM turns WHERE number = 2", "should have 3 turns and has 2"),
        ("UPDATE conversations SET session = json_set(session, '$.turns', 1)", "should have 3 turns"),
    ],
)
def test_a_damaged_conversation_spoils_no_other(
    store: ConversationStore, file: Path, damage: str, message: str
) -> None:
    hold(store, "c", 3)
    with sqlite3.connect(file) as connection:
        connection.execute(damage)
    hold(store, "d", 3)
    with pytest.raises(UserError, match=message):
        store.load("c")
    assert len(store.load("d").turns) == 3
    assert len(store.summaries()) == 2


def test_a_database_of_something_else_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(UserError, match=r"holds something else \(a table 'recipes'\).*a database of its own"):
        ConversationStore(str(file))
    assert columns(file, "recipes") == ["name"] and columns(file, "turns") == []


def test_a_file_that_another_process_holds(
    store: ConversationStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(store, "c", 1)
    monkeypatch.setattr("latentcrs.converse.database.BUSY_SECONDS", 0.05)
    hasty = ConversationStore(str(file))
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert len(hasty.load("c").turns) == 1
    with pytest.raises(UserError, match=r"\(database is locked\); another process is writing it; try again"):
        hasty.commit("c", turn(2), after(2))
    holder.execute("ROLLBACK")
    hasty.commit("c", turn(2), after(2))


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be used \(unable to open database file\); check the file and its"):
        ConversationStore(str(tmp_path))


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    with pytest.raises(UserError, match=r"conversations.sqlite cannot be used .*; check the file and its folder"):
        ConversationStore(str(tmp_path / "kept" / "conversations.sqlite"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be written here")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot be used .*Permission denied"):
        ConversationStore(str(tmp_path / "conversations.sqlite"))
