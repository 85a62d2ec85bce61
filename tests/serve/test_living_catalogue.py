"""A catalogue that changes while it is served: prices, stock and what is hidden, in every process and for good."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from latentcrs.data.rules import Rule
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore


@pytest.fixture
def two(shop: Path, tmp_path: Path) -> tuple[Service, Service]:
    """Two processes' services over one store."""
    return tuple(Service(shop, ConversationStore(str(tmp_path / "store.sqlite"))) for _ in range(2))  # type: ignore[return-value]


CHEAP = Rule(column="price", op="<", value=5)


def test_a_price_that_changes_counts_at_once_in_every_process_and_after_a_restart(
    shop: Path, two: tuple[Service, Service], serve: Callable[..., TestClient]
) -> None:
    here, there = two
    http = serve(here)
    item_id = here.recommend(request="a comedy", k=1)[0].item_id
    assert http.patch(f"/api/v1/items/{item_id}", json={"price": "4,50 €".replace(",", ".")}).status_code == 204
    restarted = Service(shop, here.store)
    for service in (here, there, restarted):
        assert service.item(item_id)["price"] == 4.5 and service.item(item_id)["stock"] == 1
        assert [one.item_id for one in service.recommend(request="a comedy", where=[CHEAP])] == [item_id]
    assert http.patch(f"/api/v1/items/{item_id}", json={"price": None}).status_code == 204
    assert here.item(item_id)["price"] is None and there.recommend(where=[CHEAP]) == []


def test_what_is_hidden_is_never_recommended_found_or_listed_until_it_is_shown_again(
    two: tuple[Service, Service], serve: Callable[..., TestClient]
) -> None:
    here, there = two
    http, asked = serve(here), {"request": "a comedy", "k": 50}
    first, second = (one["item_id"] for one in http.post("/api/v1/recommendations", json=asked).json()[:2])
    title = here.item(first)["title"]
    id = there.begin("")
    assert first in [item.item_id for item in there.turn("", id, "a comedy").items]
    assert http.delete(f"/api/v1/items/{first}").status_code == 204
    assert first not in [one["item_id"] for one in http.post("/api/v1/recommendations", json=asked).json()]
    assert title not in [one["title"] for one in http.get("/api/v1/items", params={"words": title}).json()]
    assert first not in [one.item_id for one in there.similar(second, 500)]
    assert http.get(f"/api/v1/items/{first}").json()["hidden"] is True
    for said in ("a comedy", "something else", "a drama instead"):
        assert first not in [item.item_id for item in there.turn("", there.begin(""), said).items]
    assert http.patch(f"/api/v1/items/{first}", json={"hidden": False}).status_code == 204
    assert first in [one["item_id"] for one in http.post("/api/v1/recommendations", json=asked).json()]
    assert "hidden" not in there.item(first)


def test_a_conversation_says_that_what_it_showed_is_gone(two: tuple[Service, Service]) -> None:
    here, there = two
    id = here.begin("")
    first, second = here.turn("", id, "a comedy").items[:2]
    there.change_items([{"item_id": first.item_id, "hidden": True}])
    taken = here.turn("", id, "I'll take the first one")
    assert taken.text.startswith(f"{first.title} is no longer available.") and "Enjoy" not in taken.text
    assert here.conversation("", id).session.accepted == []
    assert f"Enjoy {second.title}!" in here.turn("", id, "I'll take the second one then").text
    asked = here.turn("", id, "who directed the first one?")
    assert asked.text.startswith(f"{first.title} is no longer available.")


def test_words_that_change_are_heard_and_ranked_by(two: tuple[Service, Service]) -> None:
    here, there = two
    item_id = str(here.recommender.bundle.items["item_id"][7])
    here.change_items([{"item_id": item_id, "title": "The Zeppelin Heist", "plot": "Thieves rob an airship."}])
    for service in two:
        service.served.growing.catch_up()  # however long it takes: a request waits a second for it
        assert service.search("zeppelin heist")[0]["item_id"] == item_id
        ranked = [one.item_id for one in service.recommend(request="thieves rob a zeppelin airship", k=10)]
        assert item_id in ranked
    turn = there.turn("", there.begin(""), "I loved The Zeppelin Heist")
    assert item_id in there.conversation("", there.conversations("")[0].id).session.liked
    assert item_id not in [item.item_id for item in turn.items]


def test_items_come_as_json_lines_added_or_changed(fresh: Service, serve: Callable[..., TestClient]) -> None:
    http = serve(fresh)
    known = str(fresh.recommender.bundle.items["item_id"][0])
    rows = [{"item_id": known, "year": 1931}, {"item_id": "new", "title": "New", "genres": ["Comedy"]}]
    answer = http.put("/api/v1/items", content="\n".join(map(json.dumps, rows)))
    assert answer.json() == {"added": 1, "changed": 1}
    fresh.served.growing.catch_up()
    assert fresh.item(known)["year"] == 1931 and fresh.item("new")["genres"] == ["Comedy"]
    wrong = {
        '{"item_id": "x"': "Line 2 is no item: Invalid JSON",
        '{"title": "x"}': "Line 2 is no item: item_id: Field required",
        json.dumps({"item_id": known, "colour": "red"}): "has no column 'colour'",
        json.dumps({"item_id": known, "hidden": "yes?"}): "hidden: Input should be a valid boolean",
        json.dumps({"item_id": known, "title": " "}): "wants a title that can be read",
    }
    for line, said in wrong.items():
        answer = http.put("/api/v1/items", content=json.dumps({"item_id": known, "year": 1950}) + "\n" + line)
        assert answer.status_code == 422 and said in answer.json()["detail"], answer.text
    assert fresh.item(known)["year"] == 1931
    assert http.patch("/api/v1/items/nowhere", json={"year": 1950}).status_code == 404
    assert http.put("/api/v1/items", content="").status_code == 422
