"""The conversation store as an SQLite file: what is left in it, what damages it, who may have it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from held import after, hold, turn

from latentcrs.base.errors import UserError
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "conversations.sqlite"


@pytest.fixture
def store(file: Path) -> ConversationStore:
    return ConversationStore(str(file))


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


def test_a_turn_that_is_no_json_spoils_no_other_conversation(store: ConversationStore, file: Path) -> None:
    hold(store, "c", 3)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE turns SET turn = '{'")
    hold(store, "d", 3)
    with pytest.raises(UserError, match=r"cannot be read \(Expecting property name"):
        store.load("c")
    assert len(store.load("d").turns) == 3
    assert len(store.summaries()) == 2


def test_a_file_that_another_process_holds(
    store: ConversationStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(store, "c", 1)
    monkeypatch.setattr("latentcrs.store.database.BUSY_SECONDS", 0.05)
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
