"""Numbers for whoever runs a server: counts by day, and which bundle's conversations end well."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from other_bundle import NEW, TITLED_ANEW, changed
from starlette.testclient import TestClient
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.converse.statistics import statistics, wilson
from latentcrs.data.rules import Rule
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session, Turn, TurnItem


def hold(store: ConversationStore, id: str, bundle: str, taken: bool) -> None:
    """A conversation in which something is shown, and taken or not."""
    store.begin(id, Session(), bundle)
    item = TurnItem(item_id="1", title="One", score=1.0)
    first = Turn(number=1, utterance="a secret wish", kind="request", variant="f", items=[item], unknown=["on Mars"])
    store.commit(id, first, Session(turns=1))
    if taken:
        store.commit(id, Turn(number=2, utterance="I take it", kind="accepted", variant="f"), Session(turns=2))


def test_what_was_asked_shown_opened_and_taken_is_counted_without_words(fresh: Service) -> None:
    id = fresh.begin("", user="ann")
    turns = [fresh.turn("", id, "a comedy")]
    listed = turns[0].items
    fresh.add_rule("", id, Rule(column="year", op="<", value=1940))
    turns += [fresh.turn("", id, said) for said in ("a comedy musical with an animal", "something else")]
    fresh.mark("", id, "like", [0])
    fresh.remember("", "ann", listed[0].item_id, "click")
    fresh.remember("", "bob", listed[0].item_id, "purchase")
    turns.append(fresh.turn("bob", fresh.begin("bob"), "a drama"))
    found = statistics(fresh.store)
    (today,) = found.days
    assert (today.conversations, today.asked, today.opened, today.bought, today.accepted) == (2, 4, 1, 1, 0)
    assert today.relaxed == sum(bool(turn.relaxed) for turn in turns) >= 1
    assert today.shown == sum(len(turn.items) for turn in turns)
    (share,) = found.shares
    assert (share.conversations, share.successful) == (2, 1)  # ann opened what she was shown
    assert found.unmet == {} and "comedy" not in found.model_dump_json()
    assert statistics(fresh.store, owner="bob").days[0].asked == 1
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert statistics(fresh.store, days=1, now=tomorrow).days == []


def test_two_bundles_are_compared_by_share_with_an_interval(tmp_path: Path) -> None:
    db = tmp_path / "store.sqlite"
    store = ConversationStore(str(db))
    for n in range(100):
        hold(store, f"a{n}", "/models/a", taken=n < 20)
        hold(store, f"b{n}", "/models/b", taken=n < 40)
    found = statistics(store)
    assert [(one.conversations, one.successful) for one in found.shares] == [(100, 20), (100, 40)]
    assert sum(day.undecided for day in found.days) == 200 and found.unmet == {}
    assert statistics(store, words=1).unmet == {"on Mars": 200}
    assert wilson(20, 100) == pytest.approx((0.1334, 0.2888), abs=1e-4)
    (difference,) = found.differences
    assert (difference.bundle, difference.than) == ("/models/b", "/models/a")
    assert difference.difference == pytest.approx(0.2)
    # By hand from Wilson's bounds, 0.3094 to 0.4980 and 0.1334 to 0.2888: the roots of the sums of squares.
    assert (difference.low, difference.high) == pytest.approx((0.0731, 0.3185), abs=3e-4)
    told = CliRunner().invoke(app, ["stats", str(db)], catch_exceptions=False)
    assert "b less a: +20.0% (+7." in told.output and "200" in told.output and "secret" not in told.output
    as_json = CliRunner().invoke(app, ["stats", str(db), "--json"], catch_exceptions=False)
    assert json.loads(as_json.output)["days"][0]["asked"] == 260


def test_a_share_of_conversations_is_held_with_another_bundle_and_stays_there(
    bundle: Path, fresh: Service, tmp_path: Path
) -> None:
    other = changed(bundle, tmp_path / "other", title=TITLED_ANEW)
    fresh.try_beside(other, 0.5)
    ids = [fresh.begin("", user=f"user {n}") for n in range(24)]
    new = {}
    for id in ids:
        titles = [item.title for _ in range(2) for item in fresh.turn("", id, "a comedy").items]
        new[id] = titles[0].endswith(NEW)
        assert all(title.endswith(NEW) is new[id] for title in titles)
        assert fresh.conversation("", id).bundle == str(other if new[id] else bundle)
    assert 4 <= sum(new.values()) <= 20
    held = {fresh.conversation("", fresh.begin("", user="user 3")).bundle for _ in range(5)}
    assert len(held) == 1  # one person meets one bundle
    assert len(fresh.conversations("")) == 29
    assert {Path(one.bundle) for one in statistics(fresh.store).shares} == {other, bundle}
    assert fresh.intents("", ids[0])
    fresh.forget("", next(id for id in ids if new[id]))
    without = changed(bundle, tmp_path / "without", item_id=pl.col("item_id") + "x")
    with pytest.raises(UserError, match="is not another bundle of the same items"):
        fresh.try_beside(without, 0.5)


def test_each_key_sees_its_own_numbers(keyed: tuple[TestClient, dict[str, dict[str, str]]], service: Service) -> None:
    client, headers = keyed

    def asked(name: str) -> int:
        return sum(day["asked"] for day in client.get("/api/v1/stats", headers=headers[name]).json()["days"])

    before = asked("alice"), asked("bob")  # of tests before this one: the service is theirs too
    service.turn("alice", service.begin("alice"), "a comedy")
    assert asked("alice") > before[0] and asked("bob") == before[1]
    assert client.get("/api/v1/stats").status_code == 401
