"""Backups by the databases' own tools while turns are committed, made and restored as docs/how-to/deploy.md says."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

from held import after, hold, turn

from latentcrs.store.conversations import ConversationStore
from latentcrs.store.events import Event
from postgres_server import program

TALKERS = 4


def backup(source: str, folder: Path) -> Path:
    """A backup of a store that is written meanwhile."""
    if "://" in source:
        run(program("pg_dump"), "--format", "custom", "--file", str(folder / "latentcrs.dump"), source)
        return folder / "latentcrs.dump"
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(folder / "backup.sqlite")) as new,
    ):
        old.backup(new)  # what `.backup` of the sqlite3 command does
    return folder / "backup.sqlite"


def restore(copy: Path, new: str) -> None:
    """Make of a backup a store at the address `new`."""
    if "://" in new:
        how = ("--exit-on-error", "--single-transaction", "--no-owner")
        run(program("pg_restore"), *how, "--dbname", new, str(copy))
    else:
        Path(new).parent.mkdir(parents=True)
        shutil.copy(copy, new)


def run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_backup_has_every_turn_that_was_committed_before_it_and_goes_on(
    store: ConversationStore, database: str, new_address: Callable[[], str], tmp_path: Path
) -> None:
    for place in range(TALKERS):
        store.begin(f"c{place}", after(0, "alice"), "movies")
    store.add_event("", "films", "alice", Event(item_id="7", kind="like", at=datetime(2026, 1, 1, tzinfo=UTC)))
    store.add_items("films", [{"item_id": "new"}])
    committed, done = [0] * TALKERS, Flag()

    def talk(place: int) -> None:
        for number in range(1, sys.maxsize):
            if done.is_set():
                return
            store.commit(f"c{place}", turn(number, f"a comedy, {number}"), after(number, "alice"))
            committed[place] = number

    with ThreadPoolExecutor(TALKERS) as pool:
        talking = [pool.submit(talk, place) for place in range(TALKERS)]
        try:
            while min(committed) < 10 and not any(talk.done() for talk in talking):
                time.sleep(0.002)
            before = list(committed)
            copy = backup(database, tmp_path)
            while sum(committed) <= sum(before) and not any(talk.done() for talk in talking):
                time.sleep(0.002)
        finally:
            done.set()
        for talk_of_one in talking:
            talk_of_one.result()
    address = new_address()
    restore(copy, address)
    restored = ConversationStore(address)
    for place in range(TALKERS):
        kept = restored.load(f"c{place}")
        assert before[place] <= len(kept.turns) <= committed[place]
        assert [said.utterance for said in kept.turns] == [f"a comedy, {n}" for n in range(1, len(kept.turns) + 1)]
        number = len(kept.turns) + 1
        restored.commit(f"c{place}", turn(number), after(number, "alice"))
    hold(restored, "new", 2)
    assert restored.events("", "alice") == store.events("", "alice")
    assert restored.items_after("films", 0) == [(1, {"item_id": "new"})]
    assert restored.forget_user("alice") == TALKERS
    restored.close()
