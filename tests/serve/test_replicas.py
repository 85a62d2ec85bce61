"""Two server processes on one PostgreSQL database: a conversation moves between them, each sees what others did."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from latentcrs.data.rules import Rule
from latentcrs.serve.client import Client, ServerProblem
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Turn
from postgres_server import new_database

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
PATIENCE = 120.0
SAID = [
    "a comedy please",
    "something from the 90s",
    "I've seen the first one",
    "not the second one",
    "what else?",
    "maybe a drama",
    "why the second one?",
    "drop the 90s",
    "thanks",
]


class Replica:
    """A server process on a port that is free; it is ready when `wait` returns."""

    def __init__(self, bundle: Path, db: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self.log = f"http://127.0.0.1:{port}", log
        command = [sys.executable, "-c", "from latentcrs.cli.main import main; main()", "serve", str(bundle)]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "--port", str(port), "--no-page"],
                stderr=stderr,
                env=os.environ | {"OMP_NUM_THREADS": "1", "LATENTCRS_STORE": db},  # others see a command's options
            )

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.address}/health/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def db() -> Iterator[str]:
    """The URL of a database that the servers share."""
    with new_database() as url:
        yield url


@pytest.fixture(scope="module")
def start(bundle: Path, db: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Replica]]:
    """Starts one more server."""
    started: list[Replica] = []

    def starting() -> Replica:
        started.append(Replica(bundle, db, tmp_path_factory.mktemp("replica") / "log"))
        return started[-1]

    yield starting
    for replica in started:
        if replica.process.poll() is None:
            replica.end()


@pytest.fixture(scope="module")
def replicas(start: Callable[[], Replica]) -> list[Replica]:
    both = [start(), start()]
    for replica in both:
        replica.wait()
    return both


@pytest.fixture(scope="module")
def here(replicas: list[Replica]) -> Iterator[Client]:
    with Client(replicas[0].address) as client:
        yield client


@pytest.fixture(scope="module")
def there(replicas: list[Replica]) -> Iterator[Client]:
    with Client(replicas[1].address) as client:
        yield client


def bare(turn: Turn) -> Turn:
    """A turn without what differs from run to run."""
    return turn.model_copy(update={"milliseconds": {}})


def test_a_conversation_that_moves_at_every_turn_is_the_one_that_stays(here: Client, there: Client) -> None:
    stays, moves = here.begin(), there.begin()
    for number, utterance in enumerate(SAID, 1):
        stayed = here.say(stays, utterance, number=number)
        moved = (here, there)[number % 2].say(moves, utterance, number=number)
        assert bare(moved) == bare(stayed)
    rule = Rule(column="year", op=">=", value=1995)
    for client in (here, there):
        assert client.add_rule(stays if client is here else moves, rule).rules[-1] == "year >= 1995"
    ended = here.conversation(moves), there.conversation(moves)
    assert ended[0] == ended[1] and len(ended[0].turns) == len(SAID) + 1
    assert ended[0].session == here.conversation(stays).session


def test_what_a_user_did_at_one_is_known_at_the_other(here: Client, there: Client) -> None:
    id = here.begin(user="alice of the replicas")
    shown = here.say(id, "a comedy").items
    there.remember("alice of the replicas", shown[0].item_id, "like")
    there.remember("alice of the replicas", shown[1].item_id, "seen")
    assert here.history("alice of the replicas") == [shown[0].item_id]
    known = {shown[0].item_id, shown[1].item_id}
    assert not known & {item.item_id for item in here.say(id, "a comedy").items}
    assert not known & {row["item_id"] for row in here.recommend("a comedy", user="alice of the replicas", k=20)}
    exported = there.export_user("alice of the replicas")
    assert [one["id"] for one in exported["conversations"]] == [id] and len(exported["events"]) == 2
    assert here.forget_user("alice of the replicas") == 3
    with pytest.raises(ServerProblem, match="There is no conversation") as gone:
        there.say(id, "a comedy")
    assert gone.value.status == 404 and there.history("alice of the replicas") == []


def test_an_item_that_joins_at_one_is_recommended_at_the_other(here: Client, there: Client) -> None:
    id = there.begin()
    there.say(id, "a comedy")
    row = {"item_id": "new-1", "title": "The Zeppelin Heist (2031)", "genres": ["Comedy"], "year": 2031}
    assert here.add_items([row]) == 1
    found = there.say(id, "from 2031, please").items
    assert [item.title for item in found if not item.fails] == ["The Zeppelin Heist (2031)"]
    assert there.search("zeppelin")[0]["item_id"] == "new-1"
    with pytest.raises(ServerProblem, match="already has an item with the id 'new-1'"):
        there.add_items([row])


def test_items_that_join_at_both_at_once_are_at_both(here: Client, there: Client) -> None:
    def join(number: int) -> int:
        client = (here, there)[number % 2]
        try:
            own = {"item_id": f"own-{number}", "title": f"Own {number}"}
            return client.add_items([own, {"item_id": f"both-{number // 2}", "title": f"Both {number // 2}"}])
        except ServerProblem as refused:
            refusals.append(str(refused))
            return 0

    refusals: list[str] = []

    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(join, range(12)))
    assert [sum(added[place : place + 2]) for place in range(0, 12, 2)] == [2] * 6
    assert len(refusals) == 6 and all("already has an item with the id 'both-" in said for said in refusals)
    wanted = {f"own-{number}" for number in range(12) if added[number]} | {f"both-{place}" for place in range(6)}
    for client in (here, there):
        assert {row["item_id"] for word in ("own", "both") for row in client.search(word, k=50)} >= wanted


def test_a_turn_asked_of_both_at_once_is_taken_once(here: Client, there: Client) -> None:
    id = here.begin()
    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 7):
            utterance = f"a comedy, and {number}"
            both = list(pool.map(lambda client: client.say(id, utterance, number=number), (here, there)))  # noqa: B023
            assert both[0] == both[1]
    assert [turn.utterance for turn in there.conversation(id).turns] == [f"a comedy, and {n}" for n in range(1, 7)]


def test_turns_that_both_take_at_once_follow_each_other(here: Client, there: Client) -> None:
    id = here.begin()

    def talk(client: Client, name: str) -> list[str]:
        said = [f"a comedy, {name} {number}" for number in range(5)]
        for utterance in said:
            while not taken(client, utterance):
                pass
        return said

    def taken(client: Client, utterance: str) -> bool:
        try:
            return client.say(id, utterance).utterance == utterance
        except ServerProblem as refused:  # the other one was quicker several times
            if refused.status != 409:
                raise
            return False

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(talk, (here, there), ("here", "there")))
    kept = [turn.utterance for turn in here.conversation(id).turns]
    assert sorted(kept) == sorted(said[0] + said[1])
    assert [words for words in kept if words in said[0]] == said[0]


def test_a_chat_client_whose_messages_go_to_both_has_one_conversation(replicas: list[Replica], here: Client) -> None:
    clients = [OpenAI(base_url=f"{replica.address}/v1", api_key="none") for replica in replicas]
    model = clients[0].models.list().data[0].id
    messages: list[dict[str, str]] = []
    for number, words in enumerate(SAID[:5]):
        messages.append({"role": "user", "content": words})
        answers = [client.chat.completions.create(model=model, messages=messages) for client in clients]
        assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
        ids = {answer.choices[0].message.model_extra["latentcrs"]["conversation"] for answer in answers}
        assert len(ids) == 1 and len(here.conversation(*ids).turns) == number + 1
        messages.append({"role": "assistant", "content": str(answers[number % 2].choices[0].message.content)})


def test_conversations_go_on_at_the_other_when_one_is_killed(
    start: Callable[[], Replica], there: Client, db: str
) -> None:
    doomed = start()
    doomed.wait()
    with Client(doomed.address) as dying:
        ids = [dying.begin() for _ in range(4)]

        def talk(id: str) -> list[str]:
            said: list[str] = []
            while len(said) < 10_000:
                try:
                    said.append(dying.say(id, f"a comedy, and {len(said)}", number=len(said) + 1).utterance)
                except httpx2.HTTPError:
                    return said
            raise AssertionError("nothing ended this conversation")

        with ThreadPoolExecutor(4) as pool:
            talks = [pool.submit(talk, id) for id in ids]
            store = ConversationStore(db)
            while not all(store.head(id) for id in ids):
                time.sleep(0.01)
            store.close()
            doomed.end(signal.SIGKILL)
            answered = [talk.result() for talk in talks]
    for id, said in zip(ids, answered, strict=True):
        number = len(said) + 1  # the turn that broke off: taken once, whether it was kept or not
        assert there.say(id, f"a comedy, and {len(said)}", number=number).number == number
        kept = [turn.utterance for turn in there.conversation(id).turns]
        assert kept == [f"a comedy, and {place}" for place in range(number)]
