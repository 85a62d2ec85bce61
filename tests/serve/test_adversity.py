"""A server whose surroundings fail: a silent language model, a store or a keys file that is not what it was."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from latentcrs.base.errors import UserError
from latentcrs.base.waiting import model_within
from latentcrs.llm import Call, ChatRequest, Message, ModelError
from latentcrs.llm.openai_model import OpenAIModel
from latentcrs.serve.keys import Keys, new_key
from latentcrs.serve.limits import Rates
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore

Serve = Callable[..., TestClient]


# A language model that accepts and says nothing.


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_a_turn_goes_on_without_a_model_that_says_nothing(
    bundle: Path, tmp_path: Path, serve: Serve, silent: str
) -> None:
    store = ConversationStore(str(tmp_path / "store.sqlite"))
    service = Service(bundle, store, model=OpenAIModel(silent, "mute"), rules="llm", talks=True)
    service.warm()
    http = serve(service, turn_seconds=10)
    at = f"/api/v1/conversations/{http.post('/api/v1/conversations', json={'variant': 'v'}).json()['id']}/turns"
    for number in (1, 2):
        answer = http.post(at, json={"utterance": "a comedy from the 90s", "number": number})
        assert answer.status_code == 200 and answer.json()["items"] and len(answer.json()["notes"]) == 3


def test_all_calls_share_one_time(silent: str) -> None:
    model = OpenAIModel(silent, "mute", timeout=600, max_retries=50)
    began = time.monotonic()
    with model_within(1.0):
        for purpose in ("rules", "judge", "reply"):
            with pytest.raises(ModelError) as caught:
                model.complete(ChatRequest([Message("user", "hello")], Call(purpose), on_text=None))
            assert caught.value.outcome == "timeout"
    assert time.monotonic() - began < 300  # each attempt alone would have 600 seconds


# A store that is not there any more.


def remove(file: Path) -> None:
    file.unlink()


def remove_all(file: Path) -> None:
    for one in file.parent.glob(f"{file.name}*"):
        one.unlink()


def remove_log(file: Path) -> None:
    Path(f"{file}-wal").unlink()


def replace(file: Path) -> None:
    shutil.copy(file, f"{file}.copy")
    os.replace(f"{file}.copy", file)


def move(file: Path) -> None:
    file.rename(f"{file}.moved")


@pytest.mark.parametrize("lose", [remove, remove_all, remove_log, replace, move])
def test_a_store_that_is_removed_or_replaced_is_noticed_at_once(
    fresh: Service, serve: Serve, lose: Callable[[Path], None]
) -> None:
    http, file = serve(fresh, raises=False), Path(str(fresh.store.url.database))
    fresh.warm()
    id = http.post("/api/v1/conversations", json={}).json()["id"]
    assert http.post(f"/api/v1/conversations/{id}/turns", json={"utterance": "a comedy"}).status_code == 200
    lose(file)
    there = file.exists()
    for answer in (
        http.post("/api/v1/conversations", json={}),
        http.post(f"/api/v1/conversations/{id}/turns", json={"utterance": "a drama"}),
        http.get(f"/api/v1/conversations/{id}"),
    ):
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert answer.json()["detail"] == "Conversations cannot be read or kept just now."
    assert http.get("/health/ready").json() == {"status": "no store"}
    assert file.exists() == there  # no other is made in its place


def test_a_store_that_is_put_back_goes_on(fresh: Service) -> None:
    id, file = fresh.begin(""), Path(str(fresh.store.url.database))
    move(file)
    with pytest.raises(UserError, match="removed or replaced"):
        fresh.begin("")
    Path(f"{file}.moved").rename(file)
    assert fresh.conversation("", id).id == id


def test_a_store_that_may_only_be_read_is_refused_at_the_start_and_503_later(
    bundle: Path, fresh: Service, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, connect = fresh.begin(""), sqlite3.connect

    def read_only(file: str, **options: Any) -> sqlite3.Connection:
        return connect(file.replace("mode=rw", "mode=ro"), **options)

    fresh.store.close()
    monkeypatch.setattr(sqlite3, "connect", read_only)
    http = serve(fresh, raises=False)
    assert http.post("/api/v1/conversations", json={}).status_code == 503
    assert http.get(f"/api/v1/conversations/{id}").status_code in (200, 503)
    with pytest.raises(UserError, match="readonly"):
        ConversationStore(str(tmp_path / "new.sqlite"))


# A keys file with a mistake in it.


@pytest.mark.parametrize("mistake", ["shop sha256:123\n", "\xff\xfe", "shop\n", None])
def test_the_last_good_keys_go_on_and_nobody_is_told(
    service: Service, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, mistake: str | None
) -> None:
    file = tmp_path / "keys"
    key = new_key(file, "shop")
    http, good = serve(service, raises=False, keys_file=file), file.read_bytes()
    known = {"Authorization": f"Bearer {key}"}
    if mistake is None:
        file.unlink()
    else:
        file.write_bytes(good + mistake.encode("latin-1"))
    for _ in range(3):
        assert http.get("/api/v1/conversations", headers=known).status_code == 200
        refused = http.get("/api/v1/conversations", headers={"Authorization": "Bearer nobody's"})
        assert refused.status_code == 401 and str(file) not in refused.text
    # Once; a file that was written this very moment may be read, and spoken of, twice.
    assert len({said for said in caplog.messages if "the last good list goes on" in said}) == 1
    with pytest.raises(UserError):
        Keys(file)  # at the start it is an error
    file.write_bytes(good)
    other = {"Authorization": f"Bearer {new_key(file, 'other')}"}
    assert http.get("/api/v1/conversations", headers=other).status_code == 200


# A clock that jumps.


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_locks_nobody_out(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    rates, now = Rates("2/minute", ""), time.time
    for _ in range(2):
        rates.spend("turns", "somebody")
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    rates.spend("turns", "somebody")
    rates.spend("turns", "somebody")
    with pytest.raises(UserError, match="More than 2 turns"):
        rates.spend("turns", "somebody")
    monkeypatch.undo()
    rates.spend("turns", "somebody")


def test_turns_are_in_their_order_whatever_the_clock_says(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    from latentcrs.store import conversations as store

    id, moments = fresh.begin(""), iter([5, -400, 90, -3])
    monkeypatch.setattr(store, "_now", lambda: datetime.now(UTC).replace(tzinfo=None) + timedelta(days=next(moments)))
    for said in ("a comedy", "a drama", "from the 90s"):
        fresh.turn("", id, said)
    assert [turn.utterance for turn in fresh.conversation("", id).turns] == ["a comedy", "a drama", "from the 90s"]
    assert [summary.id for summary in fresh.conversations("")] == [id]


# Earlier messages in OpenAI's format.


def asked(*said: str) -> dict[str, Any]:
    messages: list[dict[str, str]] = []
    for words in said:
        messages += [{"role": "user", "content": words}, {"role": "assistant", "content": ""}]
    return {"model": "movies", "messages": messages[:-1]}


def test_an_earlier_message_has_the_same_length_at_most(http: TestClient) -> None:
    answer = http.post("/v1/chat/completions", json=asked("x" * 4001, "a comedy"))
    assert answer.status_code == 400 and "an earlier one too" in answer.json()["error"]["message"]


def test_each_earlier_turn_that_is_held_again_counts_and_a_retry_goes_on(fresh: Service, serve: Serve) -> None:
    fresh.warm()
    http = serve(fresh, raises=False, turn_rate="3/minute")
    body = asked("a comedy", "a drama", "a war film", "a western")
    refused = http.post("/v1/chat/completions", json=body)
    assert refused.status_code == 429 and refused.headers["retry-after"]
    (kept,) = fresh.conversations("")
    assert kept.turns == 2  # the request, and two earlier ones
    again = serve(fresh, raises=False, turn_rate="2/minute").post("/v1/chat/completions", json=body)
    assert again.status_code == 200 and again.json()["choices"][0]["message"]["latentcrs"]["turn"] == 4


def test_earlier_turns_have_the_seconds_of_one_turn_and_end_with_them(
    fresh: Service, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, taken, held = fresh.turn, [], threading.Event()

    def slow(owner: str, id: str, utterance: str, *given: Any, **named: Any) -> Any:
        taken.append(utterance)
        held.wait(30)
        return turn(owner, id, utterance, *given, **named)

    monkeypatch.setattr(fresh, "turn", slow)
    http = serve(fresh, raises=False, turn_seconds=1)
    answer = http.post("/v1/chat/completions", json=asked("one", "two", "three"))
    assert answer.status_code == 504
    held.set()
    deadline = time.monotonic() + 30
    while not fresh.conversations("") or not fresh.conversations("")[0].turns:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    assert taken == ["one"]
