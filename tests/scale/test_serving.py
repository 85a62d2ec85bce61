"""Replicas on Ray Serve with one PostgreSQL store: a conversation is in all of them, and outlives each."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray import serve

from latentcrs.base.errors import UserError
from latentcrs.scale.ray_workers import ray_cluster
from latentcrs.scale.serving import Arguments, app
from latentcrs.serve.client import Client, ServerProblem
from postgres_server import new_database

REPLICAS = 2


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[Client]:
    """A client of Ray's proxy, before two replicas."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with new_database() as db, ray_cluster(REPLICAS):
        serve.start(http_options={"port": port})
        arguments = Arguments(bundle=bundle, db=db, insecure=True, replicas=REPLICAS, watch_seconds=0)
        serve.run(app(arguments), name="latentcrs")
        with Client(f"http://127.0.0.1:{port}") as opened:
            yield opened
        serve.shutdown()


def turns_taken(client: Client) -> dict[str, int]:
    """The turns that each replica took, by the time at which it read its bundle: Ray does not say who answers."""
    found: dict[str, int] = {}
    for _ in range(200):
        told = client._http.get("/metrics").text
        (began,) = re.findall(r"^latentcrs_bundle_timestamp_seconds (\S+)$", told, re.MULTILINE)
        found[began] = sum(
            int(float(n)) for n in re.findall(r"^latentcrs_turns_total\{.*\} (\S+)$", told, re.MULTILINE)
        )
        if len(found) == REPLICAS:
            break
    return found


def test_a_conversation_moves_between_replicas(client: Client) -> None:
    earlier = turns_taken(client)
    id, said = client.begin(likes=["Toy Story"]), ["a comedy from the 90s"]
    assert client.say(id, said[0], number=1).rules == ["genres: Comedy", "year 1990 to 1999"]
    while len(said) < 100:
        said.append(f"something else, and {len(said)}")
        turn = client.say(id, said[-1], number=len(said))
        assert turn.rules == ["genres: Comedy", "year 1990 to 1999"]
        taken = {began: turns - earlier.get(began, 0) for began, turns in turns_taken(client).items()}
        if len(taken) == REPLICAS and all(taken.values()):
            break
    assert len(taken) == REPLICAS and all(taken.values()) and sum(taken.values()) == len(said)
    assert [kept.utterance for kept in client.conversation(id).turns] == said
    heard: list[str] = []
    assert client.say(id, "a drama", on_text=heard.append).text == "".join(heard)  # pieces come through Ray's proxy


def test_a_conversation_outlives_the_replica_that_held_it(client: Client) -> None:
    id = client.begin()
    for number in range(1, 21):
        if number == 5:
            names = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True)]
            replica = next(name for name in names if name.startswith("SERVE_REPLICA::"))
            ray.kill(ray.get_actor(replica, namespace="serve"))
        utterance = f"a comedy, and {number}"
        try:
            turn = client.say(id, utterance, number=number)
        except ServerProblem as failed:  # it was with the one that died
            if failed.status != 500:
                raise
            turn = client.say(id, utterance, number=number)
        assert turn.number == number
    assert [turn.utterance for turn in client.conversation(id).turns] == [f"a comedy, and {n}" for n in range(1, 21)]


def test_nobody_is_let_in_unasked(bundle: Path) -> None:
    with pytest.raises(UserError, match=r"give keys_file=…, or say insecure=true\.$"):
        app(Arguments(bundle=bundle))
