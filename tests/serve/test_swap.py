"""A new bundle in the place of the old one while people talk: nobody notices but by the answers."""

from __future__ import annotations

import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from listening import listening
from other_bundle import NEW, TITLED_ANEW, changed, put
from structlog.testing import capture_logs

from latentcrs.base.files import sha256_of
from latentcrs.serve.app import create_app
from latentcrs.serve.client import Client
from latentcrs.serve.errors import Conflict
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.swap import BundleWatch
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Turn

Looks = tuple[Service, BundleWatch, list[str]]


@pytest.fixture
def place(bundle: Path, tmp_path: Path) -> Path:
    """The path of a bundle that is served, whose place others take."""
    return shutil.copytree(bundle, tmp_path / "movies")


@pytest.fixture
def looks(place: Path, tmp_path: Path) -> Looks:
    """A service of the bundle at `place`, who watches it, and what came of the bundles that were found."""
    service, outcomes = Service(place, ConversationStore(str(tmp_path / "store.sqlite"))), []
    return service, BundleWatch(service, 0, outcomes.append), outcomes


@pytest.fixture
def server(place: Path, looks: Looks) -> Iterator[str]:
    """The address of a server over that service, which looks ten times a second."""
    settings = Settings(bundle=place, page=False, watch_seconds=0.1)
    with listening(create_app(settings, looks[0])) as port:
        yield f"http://localhost:{port}"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_new(turn: Turn) -> bool:
    """Which bundle a turn was answered from: one of them, with all of its items."""
    new = {item.title.endswith(NEW) for item in turn.items}
    assert len(new) == 1, turn
    return new.pop()


def test_people_talk_on_while_the_bundle_is_swapped_and_no_request_fails(
    bundle: Path, place: Path, looks: Looks, server: str, tmp_path: Path
) -> None:
    service = looks[0]
    old = weakref.ref(service.recommender.bundle)
    new = changed(bundle, tmp_path / "new", title=TITLED_ANEW)
    fingerprint = sha256_of(new / "bundle.json")[:12]
    turns: list[list[Turn]] = [[] for _ in range(4)]
    swapped = threading.Event()

    def talk(said: list[Turn]) -> str:
        with Client(server) as client:
            id, after = client.begin(), 0
            while after < 3:
                known = swapped.is_set()
                said.append(client.say(id, "a comedy please", number=len(said) + 1))
                if known:
                    assert is_new(said[-1])
                    after += 1
            return id

    with Client(server) as client, ThreadPoolExecutor(4) as pool:
        talks = [pool.submit(talk, said) for said in turns]
        try:
            until(lambda: all(said for said in turns))
            assert not any(is_new(said[0]) for said in turns)
            put(new, place)
            until(lambda: client._http.get("/health").json()["bundle"] == fingerprint)
        finally:
            swapped.set()
        ids = [talk.result() for talk in talks]
        for id, said in zip(ids, turns, strict=True):
            assert client.conversation(id).turns == said and [turn.number for turn in said] == [
                *range(1, len(said) + 1)
            ]
            kinds = [is_new(turn) for turn in said]
            assert kinds == sorted(kinds)  # the old one first, then the new one, and never back
        assert 'latentcrs_bundles_total{outcome="served"} 1.0' in client._http.get("/metrics").text
    assert old() is None  # its memory is free


def test_after_a_swap_all_is_as_after_a_restart(bundle: Path, place: Path, looks: Looks, tmp_path: Path) -> None:
    service, watch, outcomes = looks
    service.people.knows_dataset = lambda owner: owner != "stranger"
    service.add_items([{"item_id": "joined", "title": "The Zeppelin Heist", "genres": ["Comedy"], "year": 2031.0}])
    ids = [service.begin("", user="somebody") for _ in range(2)]
    shown, _ = [service.turn("", id, "a comedy please").items for id in ids]
    service.remember("", "somebody", shown[0].item_id, "like")
    put(changed(bundle, tmp_path / "new", title=TITLED_ANEW), place)
    assert [watch.look(), watch.look(), watch.look()] == [None, "served", None] and outcomes == ["served"]
    assert service.live_conversations() == 0

    restarted = Service(place, ConversationStore(str(service.store.url.database)))
    went_on = [each.turn("", id, "from the 90s") for each, id in zip((service, restarted), ids, strict=True)]
    assert is_new(went_on[0]) and went_on[0].rules == ["genres: Comedy", "year 1990 to 1999"]
    assert len({turn.model_copy(update={"milliseconds": {}}).model_dump_json() for turn in went_on}) == 1
    assert service.history("", "somebody") == [shown[0].item_id]
    assert service.item("joined")["title"] == "The Zeppelin Heist"
    assert service.people.trained("shop", "1") and not service.people.trained("stranger", "1")


def test_a_bundle_that_cannot_be_served_leaves_the_old_one_serving(
    bundle: Path, place: Path, looks: Looks, tmp_path: Path
) -> None:
    service, watch, outcomes = looks
    new = changed(bundle, tmp_path / "new", title=TITLED_ANEW)
    whole = (new / "items.parquet").read_bytes()
    (new / "items.parquet").write_bytes(whole[:1000])
    id = service.begin("")
    put(new, place)
    with capture_logs() as logs:
        assert [watch.look() for _ in range(4)] == [None, "refused", None, None]
    (said,) = logs
    assert said["event"] == "a new bundle cannot be served, the old one stays"
    assert said["reason"] == f"{place / 'items.parquet'} has changed since it was written (checksum); train again."
    assert not is_new(service.turn("", id, "a comedy please"))
    (place / "items.parquet").write_bytes(whole)
    assert [watch.look(), watch.look()] == [None, "served"] and outcomes == ["refused", "served"]
    assert is_new(service.turn("", id, "a comedy please"))


def test_a_bundle_that_takes_other_items_than_those_that_joined_is_refused(
    place: Path, looks: Looks, tmp_path: Path
) -> None:
    service, watch, _ = looks
    service.add_items([{"item_id": "joined", "title": "The Zeppelin Heist", "year": 2031.0}])
    new = shutil.copytree(place, tmp_path / "new")
    manifest = json.loads((new / "bundle.json").read_text())
    del manifest["dataset"]["columns"]["year"]
    (new / "bundle.json").write_text(json.dumps(manifest))
    put(new, place)
    with capture_logs() as logs:
        assert [watch.look(), watch.look()] == [None, "refused"]
    assert "The catalogue has no column 'year'" in logs[0]["reason"]
    assert service.item("joined")["year"] == 2031


def test_a_bundle_that_is_still_being_copied_is_waited_for(
    bundle: Path, place: Path, looks: Looks, tmp_path: Path
) -> None:
    service, watch, outcomes = looks
    new = changed(bundle, tmp_path / "new", title=TITLED_ANEW)
    place.rename(tmp_path / "old")
    assert watch.look() is None
    place.mkdir()
    for name in sorted(path.name for path in new.iterdir()):  # the manifest is not the last
        shutil.copy(new / name, place / name)
        assert watch.look() is None and not outcomes
    assert watch.look() == "served" and service.served.fingerprint == sha256_of(new / "bundle.json")[:12]


def test_the_same_bundle_copied_or_touched_is_not_read_again(place: Path, looks: Looks, tmp_path: Path) -> None:
    service, watch, outcomes = looks
    served = service.served
    put(shutil.copytree(place, tmp_path / "new"), place)
    (place / "bundle.json").touch()
    assert [watch.look() for _ in range(3)] == [None, None, None]
    assert service.served is served and not outcomes


def test_a_conversation_about_items_that_the_new_bundle_lacks_is_a_conflict(
    bundle: Path, place: Path, looks: Looks, tmp_path: Path
) -> None:
    service, watch, _ = looks
    id = service.begin("")
    service.turn("", id, "a comedy please")
    put(changed(bundle, tmp_path / "new", item_id=pl.lit("new-") + pl.col("item_id")), place)
    assert [watch.look(), watch.look()] == [None, "served"]
    with pytest.raises(Conflict, match="was held with another catalogue"):
        service.turn("", id, "a comedy please")
    assert service.turn("", service.begin(""), "a comedy please").items[0].item_id.startswith("new-")
    assert len(service.conversation("", id).turns) == 1


def test_a_turn_under_way_ends_with_the_old_bundle_and_the_next_begins_with_the_new_one(
    bundle: Path, place: Path, looks: Looks, tmp_path: Path
) -> None:
    service, watch, _ = looks
    id = service.begin("")
    put(changed(bundle, tmp_path / "new", title=TITLED_ANEW), place)
    watch.look()
    reading, read_on = threading.Event(), threading.Event()
    embed = service.recommender.embed

    def slow(request: str) -> Any:
        reading.set()
        read_on.wait(30)
        return embed(request)

    service.recommender.embed = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(service.turn, "", id, "a comedy please")
        assert reading.wait(30)
        waiting = pool.submit(service.turn, "", id, "from the 90s")
        assert watch.look() == "served"
        read_on.set()
        assert not is_new(under_way.result()) and is_new(waiting.result())
    assert [turn.number for turn in service.conversation("", id).turns] == [1, 2]
    assert service.live_conversations() == 1


def _manifest(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((place / "bundle.json").read_text())
    change(manifest)
    (place / "bundle.json").write_text(json.dumps(manifest))


def _fewer_items(place: Path) -> None:
    """A catalogue that does not fit the weights, with a checksum that fits."""
    pl.read_parquet(place / "items.parquet").head(100).write_parquet(place / "items.parquet")
    _manifest(place, lambda found: found["checksums"].update({"items.parquet": sha256_of(place / "items.parquet")}))


DAMAGE: list[Callable[[Path], object]] = [
    lambda place: (place / "items.parquet").write_bytes((place / "items.parquet").read_bytes()[:-100]),
    lambda place: (place / "intent.safetensors").write_bytes(b""),
    lambda place: (place / "behaviour.safetensors").unlink(),
    lambda place: (place / "bundle.json").write_text("{"),
    lambda place: (place / "bundle.json").write_text("[]"),
    lambda place: _manifest(place, lambda found: found.update(format=999)),
    lambda place: _manifest(place, lambda found: found.update(checksums={})),
    lambda place: _manifest(place, lambda found: found["dataset"].pop("columns")),
    _fewer_items,
]


def test_damaged_bundles_in_its_place_are_refused_one_after_the_other_while_people_talk(
    bundle: Path, place: Path, looks: Looks, server: str, tmp_path: Path
) -> None:
    _, watch, outcomes = looks
    ended = threading.Event()

    def talk() -> int:
        with Client(server) as client:
            id, number = client.begin(), 0
            while not ended.is_set():
                number += 1
                assert not is_new(client.say(id, "a comedy please", number=number))
            return number

    with ThreadPoolExecutor(2) as pool:
        talks = [pool.submit(talk) for _ in range(2)]
        try:
            for number, damage in enumerate(DAMAGE):
                new = changed(bundle, tmp_path / f"new-{number}", title=TITLED_ANEW)
                damage(new)
                place.rename(tmp_path / f"old-{number}")
                new.rename(place)
                assert [watch.look(), watch.look()] == [None, "refused"], number
        finally:
            ended.set()
        assert all(talk.result() for talk in talks)
    assert outcomes == ["refused"] * len(DAMAGE)
