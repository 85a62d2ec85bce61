"""The server as a process: kill -9 in the middle of turns loses none that was answered; a signal finishes them."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import polars as pl
import pytest
from served_process import Served

from latentcrs.serve.client import Client
from latentcrs.store.conversations import ConversationStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
TALKERS = 4


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "conversations.sqlite"


def talk(address: str, id: str, said: list[str], first: int) -> None:
    """Go on with a conversation until the server is gone; `said`: what was answered."""
    with Client(address, timeout=30) as client:
        for number in range(first, 10_000):
            try:
                turn = client.say(id, f"a comedy, and {number}", number=number)
            except httpx2.HTTPError:
                return
            assert turn.number == number
            said.append(turn.utterance)


def test_no_turn_that_was_answered_is_lost_by_kill_9(bundle: Path, db: Path) -> None:
    said: dict[str, list[str]] = {}
    for _ in range(2):
        server = Served(bundle, db)
        with Client(server.address) as client:
            for id in said:  # what broke off is asked again under its number: taken once, whether it was kept or not
                client.say(id, f"a comedy, and {len(said[id]) + 1}", number=len(said[id]) + 1)
                said[id].append(f"a comedy, and {len(said[id]) + 1}")
            said |= {client.begin(): [] for _ in range(TALKERS - len(said))}
        with ThreadPoolExecutor(TALKERS) as pool:
            running = [pool.submit(talk, server.address, id, said[id], len(said[id]) + 1) for id in said]
            time.sleep(1.0)
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            for talker in running:
                talker.result()
        store = ConversationStore(str(db))
        for id, answered in said.items():
            kept = [turn.utterance for turn in store.load(id).turns]
            assert kept[: len(answered)] == answered and len(kept) <= len(answered) + 1
        store.close()
    assert min(map(len, said.values())) > 2


def test_a_signal_finishes_the_turns_under_way(bundle: Path, db: Path) -> None:
    server = Served(bundle, db)
    with Client(server.address) as client:
        ids = [client.begin() for _ in range(TALKERS)]
        with ThreadPoolExecutor(TALKERS) as pool:
            turns = [pool.submit(client.say, id, "a comedy from the 90s") for id in ids]
            time.sleep(0.05)
            ended = server.end(signal.SIGTERM)
            answered = [turn for turn in turns if not isinstance(turn.exception(), httpx2.ConnectError)]
            assert all(turn.result().items for turn in answered)
    assert ended in (0, -signal.SIGTERM) and answered
    store = ConversationStore(str(db))
    assert sum(len(store.load(id).turns) for id in ids) == len(answered)
    store.close()


def test_no_change_of_an_item_that_was_answered_is_lost_by_kill_9(shop: Path, db: Path) -> None:
    ids = [f"{name}" for name in pl.read_parquet(shop / "items.parquet")["item_id"].head(TALKERS)]
    server = Served(shop, db)

    def change(item_id: str) -> float:
        """The last price that was answered."""
        with Client(server.address, timeout=30) as client:
            for price in itertools.count(1):
                try:
                    client.change_item(item_id, price=price)
                except httpx2.HTTPError:
                    return price - 1
        raise AssertionError

    with ThreadPoolExecutor(TALKERS) as pool:
        running = [pool.submit(change, item_id) for item_id in ids]
        time.sleep(1.0)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        answered = [changing.result() for changing in running]
    assert min(answered) > 2
    again = Served(shop, db)
    try:
        with httpx2.Client(base_url=again.address) as client:
            prices = [client.get(f"/api/v1/items/{item_id}").json()["price"] for item_id in ids]
    finally:
        again.end(signal.SIGTERM)
    for price, last in zip(prices, answered, strict=True):
        assert last <= price <= last + 1  # what broke off may have been kept
