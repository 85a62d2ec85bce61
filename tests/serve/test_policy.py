"""The operator's say: what always holds, what is put forward or back, pinned, or thinned out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.recommend.policy import Boost, Policies, Policy, read_policies
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore

CARTOON = Rule(column="genres", op="has any", value=["Animation"])
NO_CARTOON = Rule(column="genres", op="not", value=["Animation"])


def service_of(bundle: Path, tmp_path: Path, **policies: object) -> Service:
    return Service(bundle, ConversationStore(str(tmp_path / "s.sqlite")), policies=Policies.model_validate(policies))


def genres(service: Service, item_id: str) -> list[str]:
    return list(service.item(item_id)["genres"])


def test_what_always_holds_is_neither_lifted_by_talk_nor_relaxed(bundle: Path, tmp_path: Path) -> None:
    service = service_of(bundle, tmp_path, always=[NO_CARTOON.model_dump()])
    id, said = (
        service.begin("", k=20),
        ("I want an animated cartoon", "drop all that, only animation", "it has to be animation"),
    )
    for words in said:
        turn = service.turn("", id, words)
        assert not any("Animation" in genres(service, item.item_id) for item in turn.items)
    assert turn.rules == ["genres: Animation"] and turn.relaxed
    assert not [one for one in service.search("", [CARTOON])] and service.recommend(where=[CARTOON]) == []


def test_each_key_and_each_conversation_has_rules_of_its_own(bundle: Path, tmp_path: Path) -> None:
    service = service_of(bundle, tmp_path, keys={"school": {"always": [NO_CARTOON.model_dump()]}})
    for owner, some in (("", True), ("school", False)):
        found = service.recommend(owner=owner, request="animation", k=50)
        assert any("Animation" in genres(service, one.item_id) for one in found) is some
        assert bool(service.search("", [CARTOON], owner=owner)) is some
        items = service.turn(owner, service.begin(owner, k=20), "animation please").items
        assert any("Animation" in genres(service, item.item_id) for item in items) is some
    id = service.begin("", k=20, always=[NO_CARTOON])
    for one in (id, service.begin_again("", id)):
        assert not any(
            "Animation" in genres(service, item.item_id) for item in service.turn("", one, "animation").items
        )


def test_boosts_pins_and_bounds_move_items_and_the_reason_says_so(
    fresh: Service, serve: Callable[..., TestClient]
) -> None:
    http, asked = serve(fresh), {"request": "a drama", "k": 10}
    plain = [one["item_id"] for one in http.post("/api/v1/recommendations", json=asked).json()]
    boost = {**CARTOON.model_dump(), "by": 50}
    boosted = http.post("/api/v1/recommendations", json=asked | {"boost": [boost]}).json()
    assert all("Animation" in genres(fresh, one["item_id"]) for one in boosted)
    assert all(
        one["promoted"] == "put forward: genres: Animation" and one["promoted"] in one["why"] for one in boosted
    )
    buried = http.post("/api/v1/recommendations", json=asked | {"boost": [boost | {"by": -50}]}).json()
    assert not any("Animation" in genres(fresh, one["item_id"]) for one in buried)
    last = http.post("/api/v1/recommendations", json=asked | {"k": 50}).json()[-1]["item_id"]
    pinned = http.post("/api/v1/recommendations", json=asked | {"pin": [last, "nowhere"]}).json()
    assert [one["item_id"] for one in pinned] == [last, *plain[:9]]
    assert pinned[0]["promoted"] == "chosen for this place" and pinned[1]["promoted"] == ""
    refused = [{"column": "genres", "op": "not", "value": genres(fresh, last)}]
    kept_out = http.post("/api/v1/recommendations", json=asked | {"pin": [last], "where": refused}).json()
    assert last not in [one["item_id"] for one in kept_out]
    thinned = http.post("/api/v1/recommendations", json=asked | {"most": {"genres": 2}}).json()
    counts = Counter(genre for one in thinned for genre in genres(fresh, one["item_id"]))
    assert len(thinned) > 3 and max(counts.values()) <= 2
    by_year = http.post(
        "/api/v1/recommendations", json=asked | {"sort": {"column": "year", "descending": True}}
    ).json()
    years = [fresh.item(one["item_id"])["year"] for one in by_year]
    assert years == sorted(years, reverse=True)
    assert http.post("/api/v1/recommendations", json=asked | {"sort": {"column": "plot"}}).status_code == 422
    assert http.post("/api/v1/recommendations", json=asked | {"most": {"colour": 1}}).status_code == 422


def test_a_policy_holds_in_conversations_of_several_turns(bundle: Path, tmp_path: Path) -> None:
    boost = Boost(**CARTOON.model_dump(), by=50).model_dump()
    first = str(Service(bundle, ConversationStore(str(tmp_path / "x.sqlite"))).recommender.bundle.items["item_id"][5])
    service = service_of(bundle, tmp_path, boost=[boost], pin=[first], most={"genres": 3})
    id = service.begin("", k=8)
    turn = service.turn("", id, "hello, what do you have? something good please")
    assert turn.items[0].item_id == first and turn.items[0].promoted == "chosen for this place"
    assert "put forward: genres: Animation" in turn.items[1].why
    counts = Counter(genre for item in turn.items for genre in genres(service, item.item_id))
    assert max(counts.values()) <= 3
    assert first not in [item.item_id for item in service.turn("", id, "something else").items]


def test_a_mistake_in_the_policy_file_is_one_sentence(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    for text, said in (
        ("alway = []", "alway: Extra inputs are not permitted; a policy has always, boost, pin, most, keys"),
        ("always = [", "cannot be read"),
        ('boost = [{column="year", op=">", value=1990}]', r"boost.0.by: Field required"),
        ("most = {genres = 0}", "most.genres: Input should be greater"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=said.replace("[", r"\[")):
            read_policies(file)
    file.write_text('always = [{column = "stock", op = ">", value = 0}]')
    with pytest.raises(UserError, match="no column 'stock'"):
        Service(bundle, ConversationStore(str(tmp_path / "s.sqlite")), policies=read_policies(file))
    assert read_policies(None).of("anybody") == Policy()
