"""The service: conversations that any process may go on with, people, and a catalogue that grows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.llm import ChatRequest, Completion
from latentcrs.serve.errors import Conflict, NotFound, TooMany
from latentcrs.serve.live import LiveConversations
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore

COMEDY = Rule(column="genres", op="has any", value=["Comedy"])
ROBOTS = {
    "item_id": "new-1",
    "title": "Robots of Mars",
    "year": 2001.0,
    "genres": ["Comedy", "Sci-Fi"],
    "plot": "Robots on Mars tell jokes.",
}


@pytest.fixture
def another(bundle: Path, fresh: Service) -> Service:
    """A second process with the same store, as far as the service knows."""
    return Service(bundle, ConversationStore(str(fresh.store.url.database)))


def test_a_turn_sent_twice_with_its_number_is_taken_once(service: Service) -> None:
    id = service.begin("ann")
    first = service.turn("ann", id, "a comedy from the 90s", number=1)
    heard: list[str] = []
    assert service.turn("ann", id, "a comedy from the 90s", heard.append, number=1) == first
    assert heard == [first.text]
    assert len(service.conversation("ann", id).turns) == 1
    with pytest.raises(Conflict, match="answered something else"):
        service.turn("ann", id, "a western", number=1)
    with pytest.raises(Conflict, match="is 2, not 5"):
        service.turn("ann", id, "a western", number=5)
    assert service.turn("ann", id, "older", number=2).number == 2


def test_what_is_anothers_does_not_exist(service: Service) -> None:
    id = service.begin("ann", user="someone")
    service.turn("ann", id, "a comedy")
    for act in (
        lambda: service.turn("stranger", id, "hello"),
        lambda: service.mark("stranger", id, "like", [0]),
        lambda: service.drop_rule("stranger", id, 0),
        lambda: service.add_rule("stranger", id, COMEDY),
        lambda: service.use("stranger", id, "b"),
        lambda: service.begin_again("stranger", id),
        lambda: service.conversation("stranger", id),
        lambda: service.forget("stranger", id),
        lambda: service.intents("stranger", id),
    ):
        with pytest.raises(NotFound, match="There is no conversation"):
            act()
    assert (
        service.conversations("stranger") == [] and service.export_user("stranger", "someone")["conversations"] == []
    )
    assert service.forget_user("stranger", "someone") == 0
    assert len(service.conversation("ann", id).turns) == 1


def test_an_id_that_is_taken_is_a_conflict_for_everyone(service: Service) -> None:
    service.begin("ann", id="mine")
    for owner in ("ann", "bob"):
        with pytest.raises(Conflict, match="already"):
            service.begin(owner, id="mine")


def test_two_processes_go_on_with_one_conversation(fresh: Service, another: Service) -> None:
    id = fresh.begin("")
    fresh.turn("", id, "a comedy")
    assert another.turn("", id, "from the 90s").rules == ["genres: Comedy", "year 1990 to 1999"]
    third = fresh.turn("", id, "no Woody Allen")
    assert third.number == 3 and "year 1990 to 1999" in third.rules
    another.forget("", id)
    with pytest.raises(NotFound):
        fresh.turn("", id, "more")


class Forgetting:
    """A language model that takes so long that something happens meanwhile."""

    id = "forgetting"

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def complete(self, request: ChatRequest) -> Completion:
        self.meanwhile()
        if request.on_text is not None:
            request.on_text("Here.")
        return Completion("Here.", 1, 1, 1.0, self.id)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_conversation_that_is_deleted_during_its_turn_is_not_found(
    serve: Callable[..., TestClient], fresh: Service, another: Service, accept: str
) -> None:
    for deleting in (fresh, another):
        id = fresh.begin("", user="ann")
        fresh.model, fresh.talks = Forgetting(lambda: deleting.forget_user("", "ann")), True  # noqa: B023
        http = serve(fresh, raises=False)
        for _ in range(2):
            answer = http.post(
                f"/api/v1/conversations/{id}/turns", json={"utterance": "a comedy"}, headers={"Accept": accept}
            )
            streamed = answer.text.rpartition("data: ")[2]
            said: dict[str, Any] = json.loads(streamed) if answer.status_code == 200 else answer.json()
            assert said["status"] == 404 and said["detail"].startswith("There is no conversation"), answer.text
        fresh.forget_user("", "ann")


def test_what_is_forgotten_while_all_of_a_user_is_exported_is_left_out(
    fresh: Service, another: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [fresh.begin("", user="ann") for _ in range(3)]
    load = fresh.store.export

    def forgetting(id: str, owner: str) -> dict[str, Any]:
        if id == ids[1]:
            another.forget("", id)
        return load(id, owner)

    monkeypatch.setattr(fresh.store, "export", forgetting)
    kept = [conversation["id"] for conversation in fresh.export_user("", "ann")["conversations"]]
    assert sorted(kept) == sorted([ids[0], ids[2]])


def test_turns_of_one_conversation_from_many_threads_follow_each_other(service: Service) -> None:
    id = service.begin("")
    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(turn.number for turn in pool.map(lambda _: service.turn("", id, "more"), range(16)))
    assert numbers == list(range(1, 17))
    assert [turn.number for turn in service.conversation("", id).turns] == numbers


def test_turns_of_two_processes_at_once_follow_each_other(fresh: Service, another: Service) -> None:
    id = fresh.begin("")
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            both = [pool.submit(process.turn, "", id, "more") for process in (fresh, another)]
            assert {turn.result().number for turn in both}
    assert len(fresh.conversation("", id).turns) == 10


def test_a_conversation_that_stays_busy_is_too_much() -> None:
    live = LiveConversations(patience=0.01)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with live.alone("", "c", lambda found: found):  # type: ignore[arg-type, return-value]
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with pytest.raises(TooMany, match="busy"), live.alone("", "c", lambda found: found):  # type: ignore[arg-type, return-value]
        pass
    leave.set()
    holder.join()


def test_few_conversations_stay_in_memory_and_none_is_lost(bundle: Path, tmp_path: Path) -> None:
    service = Service(bundle, ConversationStore(str(tmp_path / "c.sqlite")), live=2)
    ids = [service.begin("") for _ in range(5)]
    for words in ("a comedy", "from the 90s"):
        for id in ids:
            turn = service.turn("", id, words)
    assert service.live_conversations() == 2
    assert turn.rules == ["genres: Comedy", "year 1990 to 1999"]


def test_cards_and_chips_are_turns(service: Service) -> None:
    id = service.begin("")
    shown = [item.item_id for item in service.turn("", id, "a comedy from the 90s").items]
    service.mark("", id, "like", [0])
    service.mark("", id, "refuse", [1])
    service.mark("", id, "seen", [2])
    session = service.conversation("", id).session
    assert (session.liked, session.refused, session.seen) == ([shown[0]], [shown[1]], [shown[2]])
    later = Rule(column="year", op=">=", value=1995)
    assert service.add_rule("", id, later).rules == ["genres: Comedy", "year 1990 to 1999", "year >= 1995"]
    assert service.drop_rule("", id, 1).rules == ["genres: Comedy", "year >= 1995"]
    assert service.add_rule("", id, COMEDY, soft=True).wishes == ["genres: Comedy"]
    with pytest.raises(UserError, match="no item with this number"):
        service.mark("", id, "like", [7])
    with pytest.raises(UserError, match="No item of the catalogue passes"):
        service.add_rule("", id, Rule(column="year", op=">", value=3000))
    with pytest.raises(UserError, match="no column 'colour'"):
        service.add_rule("", id, Rule(column="colour", op="is", value="red"))
    assert service.use("", id, "b").rules == []
    with pytest.raises(UserError, match="needs a language model"):
        service.use("", id, "v")
    again = service.conversation("", service.begin_again("", id))
    assert again.turns == [] and again.session.variant == "b" and again.session.rules == []


def test_events_count_from_the_next_turn_on(service: Service, ids: Callable[[str], str]) -> None:
    user = "5"
    past = service.history("ann", user)
    assert len(past) > 5, "a user of the data set"
    id = service.begin("ann", user=user)
    best = [found.item_id for found in service.recommend(user=user, owner="ann")]
    known = {*past, *best}
    new = next(item for item in service.recommender.bundle.items["item_id"].to_list() if item not in known)
    service.remember("ann", user, best[0], "seen")
    service.remember("ann", user, best[1], "refuse")
    service.remember("ann", user, new, "purchase")
    service.turn("ann", id, "something good")
    session = service.conversation("ann", id).session
    assert session.history == [*past, new]
    assert best[0] in session.seen and best[1] in session.refused
    assert not {best[0], best[1], new} & {found.item_id for found in service.recommend(user=user, owner="ann", k=50)}
    service.forget_event("ann", user, new)
    service.forget_event("ann", user, past[0])
    service.turn("ann", id, "more")
    assert service.conversation("ann", id).session.history == past[1:] == service.history("ann", user)
    assert service.history("bob", user) == past
    with pytest.raises(NotFound):
        service.forget_event("bob", user, new)
    with pytest.raises(NotFound, match="no item with the id 'x'"):
        service.remember("ann", user, "x", "like")


def test_what_is_taken_out_of_the_history_is_no_longer_liked_in_conversations(service: Service) -> None:
    id = service.begin("ann", user="reader")
    item = service.turn("ann", id, "a comedy").items[0].item_id
    service.mark("ann", id, "like", [0])
    service.remember("ann", "reader", item, "like")
    service.turn("ann", id, "something else")
    assert service.conversation("ann", id).session.past == [item]
    service.forget_event("ann", "reader", item)
    service.turn("ann", id, "something else")
    assert service.conversation("ann", id).session.past == [] == service.history("ann", "reader")

    # Liked again in a conversation, it is back for good.
    again = service.begin("ann", user="reader")
    place = [found.item_id for found in service.turn("ann", again, "a comedy").items].index(item)
    service.mark("ann", again, "like", [place])
    service.turn("ann", again, "something else")
    assert service.conversation("ann", again).session.past == [item] == service.history("ann", "reader")


def test_events_are_in_the_order_of_their_times(service: Service) -> None:
    one, two, three = service.recommender.bundle.items["item_id"].head(3).to_list()
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for item, hours in ((one, 0), (two, -3), (three, -1), (two, 2)):
        service.remember("", "newcomer", item, "like", noon + timedelta(hours=hours))
    assert service.history("", "newcomer") == [three, one, two]


def test_all_that_is_kept_of_a_user_is_exported_and_deleted(fresh: Service) -> None:
    item = fresh.recommender.bundle.items["item_id"][0]
    id = fresh.begin("ann", user="guest")
    fresh.turn("ann", id, "my secret wish")
    fresh.remember("ann", "guest", item, "click")
    kept = fresh.export_user("ann", "guest")
    assert kept["history"] == [item] and kept["events"][0]["kind"] == "click"
    assert kept["conversations"][0]["turns"][0]["utterance"] == "my secret wish"
    assert fresh.forget_user("ann", "guest") == 2
    assert fresh.export_user("ann", "guest") == {"user": "guest", "history": [], "events": [], "conversations": []}
    with pytest.raises(NotFound):
        fresh.turn("ann", id, "hello")
    for file in Path(str(fresh.store.url.database)).parent.iterdir():
        assert b"secret wish" not in file.read_bytes()


def test_new_items_are_everywhere_at_once_and_after_a_restart(bundle: Path, fresh: Service, another: Service) -> None:
    id = another.begin("")
    another.turn("", id, "a comedy")
    assert fresh.add_items([ROBOTS]) == 1
    for _ in range(100):  # nobody waits longer than a second for what others add, nor at all while that goes on
        with suppress(NotFound):
            another.item("new-1")
            break
        sleep(0.1)
    assert another.item("new-1")["title"] == "Robots of Mars"
    assert another.search("robots of mars")[0]["item_id"] == "new-1"
    restarted = Service(bundle, ConversationStore(str(fresh.store.url.database)))
    for process in (fresh, another, restarted):
        found = process.recommend(request="robots on mars", where=[Rule(column="year", op=">", value=2000)])
        assert [one.item_id for one in found] == ["new-1"]
    assert another.turn("", id, "from 2001").items[0].item_id == "new-1"
    with pytest.raises(Conflict, match="already has an item with the id 'new-1'"):
        another.add_items([ROBOTS])
    with pytest.raises(UserError, match="no column 'colour'"):
        fresh.add_items([{"item_id": "new-2", "title": "x", "colour": "red"}])


def test_items_are_found_by_words(service: Service, ids: Callable[[str], str]) -> None:
    assert service.search("toy story")[0]["title"] == "Toy Story"
    assert (
        service.search("TOY", [Rule(column="genres", op="has any", value=["Animation"])])[0]["title"] == "Toy Story"
    )
    for words in ("(((", "\\", "[a-", "\0", "‮", "ジブリ"):
        assert service.search(words) == []
    assert len(service.search("", k=3)) == 3
    like = service.similar(ids("Toy Story"), 3)
    assert len(like) == 3 and "Toy Story" not in [found.title for found in like]
    with pytest.raises(NotFound):
        service.similar("nothing")


def test_intents_are_named_by_items_and_move_with_what_is_said(service: Service) -> None:
    id = service.begin("", user="5")
    before = service.intents("", id)
    service.turn("", id, "a scary horror film")
    after = service.intents("", id)
    assert before != after and all(intent.titles for intent in after)
    assert 0.1 < sum(intent.weight for intent in after) <= 1.0001
    assert [intent.weight for intent in after] == sorted((intent.weight for intent in after), reverse=True)


def test_a_title_that_a_request_refuses_is_no_liking(fresh: Service) -> None:
    for request, reason in (("I loved Toy Story", True), ("I can't stand Toy Story", False)):
        found = fresh.recommend(request=request, k=5)
        assert any("Toy Story" in one.reason.because_of for one in found) is reason


def test_a_conversation_with_another_catalogue_is_refused_in_words(fresh: Service) -> None:
    from latentcrs.store.session import Session

    fresh.store.begin("c", Session(history=["no such item"]), "/elsewhere/games")
    with pytest.raises(Conflict, match="another catalogue, that of games"):
        fresh.turn("", "c", "hello")
    assert fresh.conversations("") == []


@pytest.mark.parametrize(
    "user", ["👨\u200d👩\u200d👧", "علی\u200cرضا", "क्\u200dष", "ann/lee 50%?#", "Łódź 🏳️\u200d🌈"]
)
def test_a_user_may_be_called_what_people_are_called(http: TestClient, user: str) -> None:
    """What is reported of them over HTTP is found again, and only under this very id."""
    item = str(http.get("/api/v1/items", params={"k": 1}).json()[0]["item_id"])
    at = f"/api/v1/users/{quote(user, safe='')}"
    assert http.post(f"{at}/events", json={"item_id": item, "kind": "purchase"}).status_code == 204
    assert [one["item_id"] for one in http.get(f"{at}/history").json()] == [item]
    assert http.get(f"{at}/export").json()["user"] == user
    id = http.post("/api/v1/conversations", json={"user": user}).json()["id"]
    assert [one["id"] for one in http.get("/api/v1/conversations", params={"user": user}).json()] == [id]
    assert http.get(f"{at.replace('%E2%80%8D', '').replace('%E2%80%8C', '')[:-1]}/history").json() != [item]
    assert http.delete(at).json() == {"forgotten": 2}


@pytest.mark.parametrize("user", ["", "  ", "a\0b", "x" * 201, "a\nb", "\ud800", "a\u202eb", "a\u2028b", "\u200bann"])
def test_a_users_id_is_printable(service: Service, user: str) -> None:
    for act in (
        lambda: service.begin("", user=user),
        lambda: service.history("", user),
        lambda: service.forget_user("", user),
    ):
        with pytest.raises(UserError, match="printable"):
            act()
