"""The conversation store under kill -9 at any moment, and under several processes at once; SQLite and PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from latentcrs.store.conversations import ConversationStore, StoredConversation
from latentcrs.store.database import open_engine, store_url
from latentcrs.store.session import Session, Turn
from latentcrs.store.tables import CONVERSATIONS, TURNS
from postgres_server import administered

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
KILLS = 25
PATIENCE = 60.0

Start = Callable[..., tuple[BaseProcess, Connection]]


@pytest.fixture(scope="module")
def start() -> Start:
    """Starts a function of `talkers` in a process of its own: the process, and what the function sends.

    The processes are forked from a server that has imported everything and loaded the text encoder.
    """
    from multiprocessing.forkserver import ensure_running

    import talkers

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["talkers"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")  # threads do not outlive a fork
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setattr("tempfile.tempdir", "/tmp")  # the path of the server's socket has to be short
        ensure_running()

    def starting(name: str, *arguments: object) -> tuple[BaseProcess, Connection]:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=getattr(talkers, name), args=(*arguments, sending), daemon=True)
        process.start()
        sending.close()
        return process, receiving

    return starting


def received(channel: Connection, most: float = float("inf")) -> list[Any]:
    """What a process sends until it ends, `most` messages at most. A message that breaks off does not count."""
    messages: list[Any] = []
    while len(messages) < most:
        assert channel.poll(PATIENCE), "the process hangs"
        try:
            messages.append(channel.recv())
        except (EOFError, OSError):
            break
    return messages


def killed(process: BaseProcess, channel: Connection, messages: int, delay: float, address: str) -> list[Any]:
    """All that a process sent, killed `delay` seconds after its `messages`-th message; it has let go of the store."""
    sent = received(channel, messages)
    time.sleep(delay)
    process.kill()
    process.join(PATIENCE)
    sent += received(channel)
    if "://" in address:
        _wait_for_its_end(address)
    return sent


def _wait_for_its_end(url: str) -> None:
    # What a process asked PostgreSQL for before it was killed happens without it.
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + PATIENCE
    engine = administered(url)
    with engine.connect() as connection:
        while connection.exec_driver_sql(others).scalar():
            assert time.monotonic() < deadline, "the connection of a killed process stays"
            time.sleep(0.002)
    engine.dispose()


def sound(address: str) -> bool:
    """Whether every conversation has its turns and none are without one, and SQLite finds its file whole."""
    url = store_url(address)
    if url.get_backend_name() == "sqlite":
        with sqlite3.connect(str(url.database)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            if not whole or connection.execute("PRAGMA foreign_key_check").fetchall():
                return False
    engine = open_engine(url)
    with engine.connect() as found:
        said = dict(found.execute(select(CONVERSATIONS.c.id, CONVERSATIONS.c.turns)).all())
        kept = dict(found.execute(select(TURNS.c.conversation, func.count()).group_by(TURNS.c.conversation)).all())
    engine.dispose()
    return kept == {id: turns for id, turns in said.items() if turns}


def loaded(address: str, id: str) -> StoredConversation:
    """A conversation as it is stored; the store is closed again."""
    store = ConversationStore(address)
    try:
        return store.load(id)
    finally:
        store.close()


def begin(address: str, id: str) -> None:
    """Begin a conversation of Alice's; the store is closed again."""
    store = ConversationStore(address)
    store.begin(id, Session(user="alice"), "movies")
    store.close()


def untimed(turn: Turn) -> Turn:
    """A turn without what differs in rounding: a text that is read beside others, and its time."""
    items = [item.model_copy(update={"score": round(item.score, 3)}) for item in turn.items]
    return turn.model_copy(update={"milliseconds": {}, "items": items})


def test_a_conversation_killed_again_and_again_goes_on_as_if_it_was_not(
    start: Start, small_bundle: Path, database: str
) -> None:
    """Every turn that was printed is stored, once and whole, and the session is the one after the last turn."""
    chance, kills = random.Random(7), KILLS // 2 if "://" in database else KILLS
    begin(database, "c")
    printed: dict[int, tuple[Turn, Session]] = {}
    restarts: list[StoredConversation] = []
    for _ in range(kills):
        process, channel = start("converse", small_bundle, database, "c", 10_000)
        # The pauses reach from loading the bundle over the next turn to the one after it.
        sent = killed(process, channel, chance.randint(0, 4), chance.uniform(0, 0.05), database)
        for turn, session in map(read, [message for message in sent if message != "ready"]):
            assert turn.number not in printed, "a turn was printed twice"
            printed[turn.number] = turn, session
        restarts.append(loaded(database, "c"))
        assert restarts[-1].session.turns >= max(printed, default=0), "a turn that was printed is lost"
    assert sound(database)
    turns = restarts[-1].session.turns
    process, channel = start("converse", small_bundle, "", "", turns)
    reference = [read(message) for message in received(channel)[1:]]
    assert len(reference) == turns >= kills / 2
    expected = [untimed(turn) for turn, _ in reference]
    for stored in restarts:
        assert [untimed(turn) for turn in stored.turns] == expected[: stored.session.turns]
        assert stored.session == (reference[stored.session.turns - 1][1] if stored.turns else Session(user="alice"))
    for number, (turn, session) in printed.items():
        assert restarts[-1].turns[number - 1] == turn
        assert reference[number - 1][1] == session


def read(message: tuple[str, str]) -> tuple[Turn, Session]:
    return Turn.model_validate_json(message[0]), Session.model_validate_json(message[1])


def test_a_kill_inside_a_commit_leaves_all_of_the_turn_or_nothing(start: Start, database: str) -> None:
    from talkers import made_up

    chance = random.Random(11)
    begin(database, "c")
    last = 0
    for _ in range(KILLS):
        process, channel = start("commit_made_up", database, "c", 10_000)
        sent = killed(process, channel, chance.randint(1, 5), chance.uniform(0, 0.015), database)[1:]
        stored = loaded(database, "c")
        assert sent == list(range(last + 1, last + len(sent) + 1))
        assert stored.session.turns in (last + len(sent), last + len(sent) + 1)
        assert [*stored.turns] == [made_up(number)[0] for number in range(1, stored.session.turns + 1)]
        last = stored.session.turns
        assert stored.session == (made_up(last)[1] if last else Session(user="alice"))
    assert last > 0
    assert sound(database)


def test_a_kill_while_the_tables_are_made_leaves_a_database_that_opens(
    start: Start, new_address: Callable[[], str]
) -> None:
    chance = random.Random(13)
    for _ in range(KILLS // 2):
        address = new_address()
        process, channel = start("open_only", address)
        killed(process, channel, 1, chance.uniform(0, 0.06), address)
        begin(address, "c")
        assert loaded(address, "c").turns == []
        assert sound(address)


def test_processes_that_make_one_database_at_once_all_keep_their_conversations(
    start: Start, new_address: Callable[[], str]
) -> None:
    from talkers import made_up

    together, turns = 4, 10
    for _ in range(3):
        address = new_address()
        barrier = multiprocessing.get_context("forkserver").Barrier(together)
        running = [start("begin_and_commit", address, f"c{i}", turns, barrier) for i in range(together)]
        assert [received(channel) for _, channel in running] == [["done"]] * together
        store = ConversationStore(address)
        assert len(store.summaries()) == together
        for i in range(together):
            stored = store.load(f"c{i}")
            assert stored.turns == [made_up(number)[0] for number in range(1, turns + 1)]
            assert stored.session == made_up(turns)[1]


def test_of_two_processes_that_go_on_with_one_conversation_one_is_refused(
    start: Start, store: ConversationStore, database: str
) -> None:
    store.begin("c", Session(user="alice"), "movies")
    places = ("here", "there")
    for number in range(1, 11):
        barrier = multiprocessing.get_context("forkserver").Barrier(2)
        running = [start("commit_one", database, "c", words, barrier) for words in places]
        answers = {words: received(channel)[0] for words, (_, channel) in zip(places, running, strict=True)}
        added = [words for words, answer in answers.items() if answer == number]
        refused = [answer for answer in answers.values() if answer != number]
        assert len(added) == len(refused) == 1
        assert re.search(rf"'c' has another turn {number} already", refused[0])
        stored = store.load("c")
        assert [stored.session.turns, len(stored.turns)] == [number, number]
        assert stored.turns[-1].utterance == added[0]
