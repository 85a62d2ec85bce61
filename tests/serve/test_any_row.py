"""Whatever is put into the catalogue or lies in the store, a server starts, and answers everybody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from starlette.testclient import TestClient

from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.database import open_engine

VALUES: list[Any] = [
    None, "", " ", "Comedy", "Comedy|Drama", ["Comedy"], ["Comedy", "Drama"], [], [""], ["a"] * 100, 0, -1, 1999,
    "1999", 1999.0, 1999.5, 1e18, -1e308, "1e999", "nan", "ジブリ", "\0", True, {"a": 1}, [1], [["a"]], "x" * 5000,
]  # fmt: skip


def test_a_value_of_any_kind_in_any_column_is_taken_as_its_type_or_refused(
    bundle: Path, fresh: Service, serve: Callable[..., TestClient]
) -> None:
    http, taken = serve(fresh), []
    for column in fresh.recommender.bundle.columns:
        for place, value in enumerate(VALUES):
            row = {"item_id": f"{column}-{place}", "title": "One", column: value}
            answer = http.post(
                "/api/v1/items", content=json.dumps({"items": [row]}), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in (201, 422), (row, answer.text)
            if answer.status_code == 201:
                taken.append(row["item_id"])
    assert http.get("/health").json()["ready"] in ("ready", "warming up")
    restarted = Service(bundle, ConversationStore(str(fresh.store.url.database)))
    assert restarted.store.unreadable == 0
    for id in taken:
        assert restarted.item(id) == fresh.item(id)
    assert fresh.item("genres-3")["genres"] == ["Comedy"] and fresh.item("genres-5")["genres"] == ["Comedy"]
    assert fresh.item("genres-4")["genres"] == ["Comedy", "Drama"]
    assert fresh.item("year-12")["year"] == fresh.item("year-13")["year"] == fresh.item("year-14")["year"] == 1999
    assert not {"year-15", "year-16", "year-17", "genres-12", "year-3"} & set(taken)


def test_a_refused_value_is_named_with_what_would_be_right(fresh: Service, serve: Callable[..., TestClient]) -> None:
    rows = [{"item_id": "good", "title": "Good"}, {"item_id": "bad", "title": "Bad", "year": 1999.5}]
    answer = serve(fresh).post("/api/v1/items", json={"items": rows})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Item 'bad': year wants a year from 1500 to 2099, not 1999.5."
    assert fresh.store.items_joined(fresh.recommender.bundle.info.dataset.name) == 0


DAMAGE = [
    "UPDATE items SET item = 'no json' WHERE number = 2",
    "UPDATE items SET item = '[1, 2]' WHERE number = 2",
    "UPDATE items SET item = '{}' WHERE number = 2",
    """UPDATE items SET item = '{"item_id": "odd", "title": "Odd", "colour": "red"}' WHERE number = 2""",
    """UPDATE items SET item = '{"item_id": "odd", "title": "Odd", "genres": {"a": 1}}' WHERE number = 2""",
    "UPDATE events SET kind = 'adore' WHERE item_id = :second",
    "UPDATE events SET at = 'yesterday' WHERE item_id = :second",
    "UPDATE conversations SET session = 'no json' WHERE id = :other",
    "UPDATE conversations SET updated = 'yesterday', created = 7 WHERE id = :other",
    "UPDATE turns SET turn = '{' WHERE conversation = :other",
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_row_that_cannot_be_read_is_left_out_said_and_counted(
    bundle: Path, fresh: Service, serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    fresh.add_items([{"item_id": f"new-{place}", "title": f"New {place}"} for place in range(3)])
    first, second = (str(item_id) for item_id in fresh.recommender.bundle.items["item_id"][:2])
    for item_id in (first, second):
        fresh.remember("", "ann", item_id, "like")
    other, mine = fresh.begin("", user="ann"), fresh.begin("", user="ann")
    for id in (other, mine):
        fresh.turn("", id, "a comedy")
    with open_engine(fresh.store.url).begin() as connection:
        found = {"second": second, "other": other}
        named = {name: value for name, value in found.items() if f":{name}" in damage}
        assert connection.execute(sqlalchemy.text(damage), named).rowcount == 1
    restarted = Service(bundle, ConversationStore(str(fresh.store.url.database)))
    http = serve(restarted)
    assert http.get("/api/v1/items/new-0").status_code == http.get("/api/v1/items/new-2").status_code == 200
    assert first in restarted.history("", "ann")
    assert mine in [one["id"] for one in http.get("/api/v1/conversations").json()]
    assert http.post(f"/api/v1/conversations/{mine}/turns", json={"utterance": "a drama"}).status_code == 200
    assert http.post("/api/v1/items", json={"items": [{"item_id": "last", "title": "Last"}]}).status_code == 201
    assert http.get(f"/api/v1/conversations/{other}").status_code < 500
    assert http.get("/api/v1/users/ann/export").status_code == 200
    assert http.get("/health/ready").status_code in (200, 503)
    assert restarted.store.unreadable == 1
    assert len([said for said in caplog.messages if said.startswith("the store has a row that cannot be read")]) == 1
    assert "latentcrs_unreadable_rows 0.0" not in http.get("/metrics").text
    assert http.delete("/api/v1/users/ann").status_code == 200
