"""Nobody's requests cost without a bound, or hold up somebody else's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from listening import listening
from starlette.testclient import TestClient

from latentcrs.base.errors import UserError
from latentcrs.base.waiting import NobodyWaits, still_wanted
from latentcrs.converse.bookkeeping import MOST_IN_FORCE
from latentcrs.data.rules import Rule
from latentcrs.serve.app import create_app
from latentcrs.serve.bounds import (
    LONGEST_SEARCH,
    LONGEST_VALUE,
    MOST_NEW_ITEMS,
    MOST_RULES,
    MOST_VALUES,
    MOST_VALUES_IN_ALL,
)
from latentcrs.serve.errors import Gone, TooSlow
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.threads import Threads

Serve = Callable[..., TestClient]


def rule(values: Any, op: str = "has any") -> dict[str, Any]:
    return {"column": "genres", "op": op, "value": values}


MANY = [f"v{place}" for place in range(MOST_VALUES + 1)]
TOO_MUCH = [
    [rule(MANY)],
    [rule(["x"])] * (MOST_RULES + 1),
    [rule(MANY[:MOST_VALUES])] * (MOST_VALUES_IN_ALL // MOST_VALUES + 1),
    [rule("x" * (LONGEST_VALUE + 1))],
    [rule(["x" * LONGEST_VALUE] * 60)],
]


@pytest.mark.parametrize("where", TOO_MUCH, ids=["values", "rules", "values in all", "a long value", "characters"])
def test_rules_that_ask_for_too_much_are_refused_by_every_door(
    http: TestClient, service: Service, where: list[dict[str, Any]]
) -> None:
    for path in ("/api/v1/items/search", "/api/v1/recommendations"):
        assert http.post(path, json={"where": where}).status_code == 422
    rules = [Rule.model_validate(one) for one in where]
    for door in (lambda: service.search("", rules), lambda: service.recommend(where=rules)):
        with pytest.raises(UserError, match="There may be"):  # the page and MCP come by these
            door()
    id = http.post("/api/v1/conversations", json={}).json()["id"]
    if len(where) == 1:
        assert http.post(f"/api/v1/conversations/{id}/rules", json={"rule": where[0]}).status_code == 422
        with pytest.raises(UserError, match="There may be"):
            service.add_rule("", id, rules[0])


def test_what_is_within_the_bounds_is_answered(http: TestClient) -> None:
    where = [rule(MANY[:MOST_VALUES], "not"), {"column": "text", "op": "not", "value": MANY[:MOST_VALUES]}]
    answer = http.post(
        "/api/v1/items/search", json={"where": where, "words": " ".join("abcdefghij" * 25)[:LONGEST_SEARCH]}
    )
    assert answer.status_code == 200


def test_other_lists_and_texts_have_bounds_too(http: TestClient, service: Service) -> None:
    rows = [{"item_id": f"many-{place}", "title": "x"} for place in range(MOST_NEW_ITEMS + 1)]
    assert http.post("/api/v1/items", json={"items": rows}).status_code == 422
    assert (
        http.post("/api/v1/items", json={"items": [{"item_id": "x", "title": "x", "genres": MANY}]}).status_code
        == 422
    )
    assert http.get("/api/v1/items", params={"words": "x" * (LONGEST_SEARCH + 1)}).status_code == 422
    with pytest.raises(UserError, match="characters of words"):
        service.search("x" * (LONGEST_SEARCH + 1))


def test_the_bounds_are_in_the_schema(http: TestClient) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    value = schemas["Predicate"]["properties"]["value"]["anyOf"]
    assert [one.get("maxItems") for one in value] == [None, None, MOST_VALUES, MOST_VALUES]
    assert value[0]["maxLength"] == value[2]["items"]["maxLength"] == LONGEST_VALUE
    where = schemas["Search"]["properties"]["where"]
    assert where["maxItems"] == MOST_RULES and str(MOST_VALUES_IN_ALL) in where["description"]
    assert schemas["NewItems"]["properties"]["items"]["maxItems"] == MOST_NEW_ITEMS


def test_a_conversation_has_so_many_rules_and_no_more(fresh: Service) -> None:
    id = fresh.begin("")
    for place in range(MOST_IN_FORCE):
        fresh.add_rule("", id, Rule(column="title", op="not", value=f"word{place}"))
    with pytest.raises(UserError, match="take one back first"):
        fresh.add_rule("", id, Rule(column="title", op="not", value="one more"))


def test_what_computes_counts_as_a_turn(serve: Serve, service: Service) -> None:
    for ask in (
        lambda http: http.get("/api/v1/items"),
        lambda http: http.post("/api/v1/items/search", json={}),
        lambda http: http.get(f"/api/v1/items/{service.search('')[0]['item_id']}/similar"),
        lambda http: http.post("/api/v1/recommendations", json={}),
    ):
        http = serve(service, raises=False, turn_rate="1/minute")
        assert [ask(http).status_code, ask(http).status_code] == [200, 429]


# Whose turn it is.


def test_one_caller_never_has_all_threads() -> None:
    async def work() -> list[str]:
        threads, held, ran = Threads(4, 60), threading.Event(), []
        heavy = [asyncio.create_task(threads.run("heavy", held.wait)) for _ in range(50)]
        await asyncio.sleep(0.05)
        await threads.run("other", lambda: ran.append("other"))
        held.set()
        await asyncio.gather(*heavy)
        return ran

    assert asyncio.run(asyncio.wait_for(work(), 30)) == ["other"]


def test_what_has_not_begun_when_nobody_waits_any_longer_never_begins() -> None:
    async def work() -> list[str]:
        threads, held, ran = Threads(1, 0.2), threading.Event(), []
        first = asyncio.create_task(threads.run("a", held.wait))
        await asyncio.sleep(0.05)
        with pytest.raises(TooSlow, match="not begun"):
            await threads.run("b", lambda: ran.append("never"))
        with pytest.raises(TooSlow, match="kept all the same"):
            await first
        held.set()
        await Threads(1, 5).run("a", lambda: ran.append("after"))
        await asyncio.sleep(0.1)
        return ran

    assert asyncio.run(asyncio.wait_for(work(), 30)) == ["after"]


def test_long_work_ends_between_its_parts_when_nobody_waits_any_longer() -> None:
    ended = threading.Event()

    def long() -> None:
        try:
            while True:
                still_wanted()
                time.sleep(0.01)
        except NobodyWaits:
            ended.set()
            raise

    async def work() -> None:
        with pytest.raises(TooSlow):
            await Threads(1, 0.1).run("a", long)
        await asyncio.to_thread(ended.wait, 20)

    asyncio.run(work())
    assert ended.is_set()


def test_a_client_that_leaves_is_waited_for_no_longer() -> None:
    class Left:
        def __init__(self) -> None:
            self.told = iter(("http.request", "http.disconnect"))

        async def receive(self) -> dict[str, str]:
            return {"type": next(self.told)}

    async def work() -> None:
        with pytest.raises(Gone):
            await Threads(1, 60).run("a", lambda: time.sleep(0.5), request=Left())  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(work(), 30))


@pytest.fixture
def slow_searches(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Searches last until the event is set."""
    held = threading.Event()
    monkeypatch.setattr(type(fresh), "search", lambda *_, **__: [held.wait(60)][1:])
    yield held
    held.set()


def test_a_turn_is_answered_while_another_owner_s_requests_hold_all_that_they_may(
    bundle: Path, fresh: Service, slow_searches: threading.Event, tmp_path: Path
) -> None:
    from latentcrs.serve.keys import new_key

    file = tmp_path / "keys"
    heavy, other = ({"Authorization": f"Bearer {new_key(file, name)}"} for name in ("heavy", "other"))
    settings = Settings(bundle=bundle, keys_file=file, page=False, turn_rate="off", request_rate="off")
    fresh.warm()

    async def ask(port: int) -> int:
        async with httpx2.AsyncClient(base_url=f"http://localhost:{port}", timeout=60) as client:
            searches = [asyncio.create_task(client.get("/api/v1/items", headers=heavy)) for _ in range(40)]
            await asyncio.sleep(0.2)
            begun = (await client.post("/api/v1/conversations", json={}, headers=other)).json()["id"]
            body = {"utterance": "a comedy"}
            answer = await client.post(f"/api/v1/conversations/{begun}/turns", json=body, headers=other)
            assert not any(search.done() for search in searches)
            slow_searches.set()
            await asyncio.gather(*searches)
            return answer.status_code

    with listening(create_app(settings, fresh)) as port:
        assert asyncio.run(ask(port)) == 200


def test_a_heavy_rule_is_worked_on_beside_others(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = service.recommender
    passing, entered, held = recommender.passing, threading.Event(), threading.Event()

    def slow(where: Any) -> Any:
        if "heavy" in str(where):
            entered.set()
            held.wait(30)
        return passing(where)

    monkeypatch.setattr(recommender, "passing", slow)
    thread = threading.Thread(target=lambda: recommender.mask(Rule(column="title", op="not", value="heavy")))
    thread.start()
    try:
        assert entered.wait(30)
        assert recommender.mask(Rule(column="title", op="not", value="light")).any()
        assert not held.is_set() and thread.is_alive()
    finally:
        held.set()
        thread.join()
