"""The conversation store: what comes back, what is refused, what is forgotten; in SQLite and in PostgreSQL."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event as Flag
from typing import Any

import pytest
from held import after, hold, turn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, Table, delete, inspect, select, update

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.hear import HeardRule
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.database import open_engine
from latentcrs.store.events import Event, EventKind
from latentcrs.store.session import Session, Turn, TurnItem
from latentcrs.store.tables import CONVERSATIONS, TURNS

AT = datetime(2026, 1, 1, tzinfo=UTC)


# What comes back.


def test_a_conversation_comes_back_as_it_was(store: ConversationStore, database: str) -> None:
    heard = HeardRule(rule=Rule(column="year", op="between", value=[1990.0, 1999.0]), certainty=0.3, words="the 90s")
    item = TurnItem(
        item_id="17", title="Amélie", score=1 / 3, intents=["quirky"], words=["90s"], fails=["genres: War"]
    )
    first = turn(
        1, "the 90s", text="With year 1990 to 1999:", items=[item], tokens=(31, 7), milliseconds={"act": 0.11}
    )
    session = Session(user="u", history=["3", "2"], k=7, turns=1, said=["the 90s"], rules=[heard], listed=["17"])
    store.begin("c", Session(user="u", history=["3", "2"], k=7), "movies", "acme")
    store.commit("c", first, session)
    stored = ConversationStore(database).load("c", "acme")
    assert (stored.id, stored.owner, stored.user, stored.bundle) == ("c", "acme", "u", "movies")
    assert stored.turns == [first]
    assert stored.session == session
    assert stored.created <= stored.updated and stored.updated.utcoffset() is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.characters(), max_size=200),
    id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
)
def test_any_words_come_back(store: ConversationStore, words: str, id: str) -> None:
    store.forget(id)
    store.begin(id, Session(said=[words]), "movies")
    store.commit(id, turn(1, words, text=words), Session(turns=1, said=[words]))
    stored = store.load(id)
    assert (stored.id, stored.turns[0].text, stored.session.said) == (id, words, [words])
    assert json.loads(json.dumps(store.export(id)))["turns"][0]["utterance"] == words
    assert len(store.summaries()[0].words) <= 80


def test_summaries_are_of_one_owner_and_the_newest_first(store: ConversationStore) -> None:
    hold(store, "old", 2, "alice")
    hold(store, "new", 1, "bob")
    hold(store, "theirs", 1, "alice", "acme")
    store.commit("old", turn(3), after(3, "alice"))
    assert [(found.id, found.user, found.turns) for found in store.summaries()] == [
        ("old", "alice", 3),
        ("new", "bob", 1),
    ]
    assert {found.bundle for found in store.summaries()} == {"movies"}
    assert [found.id for found in store.summaries(user="bob")] == ["new"]
    assert [found.id for found in store.summaries("acme")] == ["theirs"]
    assert store.summaries("acme", "bob") == []


def test_the_words_of_a_summary_are_the_first_that_were_said(store: ConversationStore) -> None:
    store.begin("c", Session(), "movies")
    assert store.summaries()[0].words == ""
    store.commit("c", turn(1, "/variant", "command"), after(1))
    store.commit("c", turn(2, "  a\n comedy " + "or a drama " * 20), after(2))
    store.commit("c", turn(3, "from the 90s"), after(3))
    words = store.summaries()[0].words
    assert words.startswith("a comedy or a drama") and words.endswith("…") and len(words) <= 80


def test_an_export_is_json_and_has_all_of_it(store: ConversationStore) -> None:
    hold(store, "c", 3, "alice")
    exported = json.loads(json.dumps(store.export("c")))
    assert [Turn.model_validate(said) for said in exported["turns"]] == store.load("c").turns
    assert Session.model_validate(exported["session"]) == after(3, "alice")
    assert exported["user"] == "alice" and exported["created"].endswith("Z")


def test_events_come_back_the_oldest_first_and_the_last_on_an_item_counts(store: ConversationStore) -> None:
    def put(user: str, item_id: str, kind: EventKind, at: datetime, owner: str = "", of: str = "films") -> None:
        store.add_event(owner, of, user, Event(item_id=item_id, kind=kind, at=at))

    put("alice", "7", "like", AT)
    put("alice", "8", "seen", AT - timedelta(days=1))
    put("alice", "7", "refuse", AT.astimezone(timezone(timedelta(hours=5))) + timedelta(microseconds=1))
    put("alice", "ü 9", "click", AT, of="games")
    put("bob", "7", "purchase", AT)
    put("alice", "7", "purchase", AT, owner="shop")
    seen = Event(item_id="8", kind="seen", at=AT - timedelta(days=1))
    refused = Event(item_id="7", kind="refuse", at=AT + timedelta(microseconds=1))
    clicked = Event(item_id="ü 9", kind="click", at=AT)
    assert store.events("", "alice", "films") == [seen, refused]
    assert store.events("", "alice", "games") == [clicked]
    assert store.events("", "alice") == [seen, clicked, refused]
    assert [event.kind for event in store.events("shop", "alice")] == ["purchase"]
    assert store.events("shop", "bob") == []
    assert store.forget_events("", "alice", "films", "7") == 1 and store.forget_events("", "alice", "films", "7") == 0
    assert store.events("", "alice") == [seen, clicked]
    assert store.forget_events("", "alice", "games") == 1
    assert store.forget_events("", "alice") == 1 and store.events("", "alice") == []
    assert len(store.events("", "bob")) == len(store.events("shop", "alice")) == 1


def test_items_come_back_in_the_order_they_joined(store: ConversationStore) -> None:
    wide = {"item_id": "x", "title": "Amélie\0", "year": 2001.5, "genres": ["Comedy"], "text": None}
    store.add_items("films", [wide, {"item_id": "y"}])
    store.add_items("games", [{"item_id": "x"}])
    store.add_items("films", [{"item_id": "z"}])
    assert store.items_after("films", 0) == [(1, wide), (2, {"item_id": "y"}), (3, {"item_id": "z"})]
    assert store.items_after("films", 2) == [(3, {"item_id": "z"})]
    assert store.items_after("films", 3) == store.items_after("music", 0) == []
    assert (store.items_joined("films"), store.items_joined("games"), store.items_joined("music")) == (3, 1, 0)


# What is refused.


def test_the_same_turn_twice_changes_nothing(store: ConversationStore) -> None:
    hold(store, "c", 2)
    before = store.load("c")
    for number in (2, 1):
        store.commit("c", turn(number, f"a comedy of c, {number}"), after(number))
    assert store.load("c") == before


@pytest.mark.parametrize(
    ("said", "session", "message"),
    [
        (turn(2, "a drama"), after(2), "another turn 2 already"),
        (turn(1, "a drama"), after(1), "another turn 1 already"),
        (turn(2, "a comedy of c, 2"), Session(turns=2), "another turn 2 already"),
        (turn(4), after(4), "has 2 turns, so its next is turn 3, not 4"),
        (turn(0), after(0), "another turn 0 already"),
    ],
)
def test_another_turn_of_a_number_and_a_gap_are_refused(
    store: ConversationStore, said: Turn, session: Session, message: str
) -> None:
    hold(store, "c", 2)
    before = store.load("c")
    with pytest.raises(UserError, match=message):
        store.commit("c", said, session)
    assert store.load("c") == before


def test_a_turn_comes_with_the_session_after_it(store: ConversationStore) -> None:
    store.begin("c", Session(), "movies")
    with pytest.raises(ValueError, match="turn 1, but the session is that after turn 0"):
        store.commit("c", turn(1), Session())
    with pytest.raises(ValueError, match="before its first turn"):
        store.begin("d", after(1), "movies")


def test_an_id_is_begun_once(store: ConversationStore) -> None:
    hold(store, "c", 1)
    with pytest.raises(UserError, match="There is a conversation 'c' already"):
        store.begin("c", Session(), "movies", "acme")
    assert len(store.load("c").turns) == 1


def test_nobody_finds_what_another_owner_has(store: ConversationStore) -> None:
    hold(store, "c", 1, "alice", "acme")
    for owner in ("", "other"):
        for asked in (store.load, store.export):
            with pytest.raises(UserError, match="There is no conversation 'c'"):
                asked("c", owner)
        assert store.forget("c", owner) == store.forget_user("alice", owner) == 0
    assert len(store.load("c", "acme").turns) == 1
    with pytest.raises(UserError, match="There is no conversation 'd'"):
        store.commit("d", turn(1), after(1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (update(TURNS).values(turn={}), r"\(Turn: number: Field required\): it is damaged, or another version"),
        (update(CONVERSATIONS).values(session={"mood": 1}), r"\(Session: mood: Extra inputs"),
        (delete(TURNS).where(TURNS.c.number == 2), "should have 3 turns and has 2"),
        (update(CONVERSATIONS).values(session={"turns": 1}), "should have 3 turns"),
    ],
)
def test_a_damaged_conversation_spoils_no_other(store: ConversationStore, damage: Any, message: str) -> None:
    hold(store, "c", 3)
    with open_engine(store.url).begin() as connection:
        connection.execute(damage)
    hold(store, "d", 3)
    with pytest.raises(UserError, match=message):
        store.load("c")
    assert len(store.load("d").turns) == 3
    assert len(store.summaries()) == 2


def test_an_item_joins_once(store: ConversationStore) -> None:
    """Whoever reads two items of one id could not make a catalogue of them."""
    store.add_items("films", [{"item_id": "x"}, {"item_id": 'say "ü"'}])
    for again in ("x", 'say "ü"', "new"):
        with pytest.raises(UserError, match=f"The catalogue already has an item with the id '{again}'"):
            store.add_items("films", [{"item_id": "new"}, {"item_id": again}])
    store.add_items("games", [{"item_id": "x"}])
    assert [row["item_id"] for _, row in store.items_after("films", 0)] == ["x", 'say "ü"']

    def join(place: int) -> int:
        try:
            store.add_items("films", [{"item_id": f"at once {place % 3}"}, {"item_id": f"{place}"}])
        except UserError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(join, range(24))) == 3
    joined = [row["item_id"] for _, row in store.items_after("films", 2)]
    assert len(joined) == len(set(joined)) == 6 and {f"at once {place}" for place in range(3)} < set(joined)


@pytest.mark.parametrize("id", ["a\0b", "\0", "\ud800"], ids=["within", "alone", "half a pair"])
def test_an_id_that_no_database_takes_is_nobodys(store: ConversationStore, id: str) -> None:
    """The same in both: PostgreSQL has no zero byte in a text, and neither has half a surrogate pair."""
    hold(store, "c", 1)
    event = Event(item_id=id, kind="like", at=AT)
    for keep in (
        lambda: store.begin(id, Session(), "movies"),
        lambda: store.begin("d", Session(user=id), "movies"),
        lambda: store.begin("d", Session(), "movies", id),
        lambda: store.add_event("", "films", "alice", event),
        lambda: store.add_event("", "films", id, event.model_copy(update={"item_id": "7"})),
        lambda: store.add_items("films", [{"item_id": "new"}, {"item_id": id}]),
    ):
        with pytest.raises(UserError, match="cannot be kept: an id or a name is Unicode without zero bytes"):
            keep()
    for find in (lambda: store.load(id), lambda: store.load("c", id), lambda: store.commit(id, turn(1), after(1))):
        with pytest.raises(UserError, match="There is no conversation"):
            find()
    assert store.head(id) is store.head("c", id) is None
    assert store.summaries(id) == store.summaries("", id) == store.events("", id) == store.events(id, "alice") == []
    assert store.forget(id) == store.forget_user(id) == store.forget_events("", id) == 0
    assert store.forget_events("", "alice", "films", id) == store.items_joined("films") == 0
    assert [found.id for found in store.summaries()] == ["c"]


def test_a_time_outside_the_calendar_is_refused(store: ConversationStore) -> None:
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    with pytest.raises(UserError, match=r"0001-01-01T00:00:00\+05:00 is no time that can be kept"):
        store.add_event("", "films", "alice", Event(item_id="7", kind="like", at=early))
    assert store.events("", "alice") == []


# What is forgotten.


def everything(store: ConversationStore) -> str:
    """All rows of all tables."""
    with open_engine(store.url).connect() as connection:
        tables = [Table(name, MetaData(), autoload_with=connection) for name in inspect(connection).get_table_names()]
        return json.dumps([[str(row) for row in connection.execute(select(table))] for table in tables])


def test_what_is_forgotten_is_in_no_table(store: ConversationStore) -> None:
    words = "gefilte fish and the meaning of liff"
    hold(store, "kept", 3)
    for id in ("c", "d"):
        store.begin(id, Session(user="alice"), "movies")
        for number in (1, 2):
            store.commit(id, turn(number, words), Session(user="alice", turns=number, said=[words] * number))
    store.add_event("", "films", "alice", Event(item_id="7", kind="like", at=AT))
    kept = store.load("kept")
    assert words in everything(store) and "alice" in everything(store)
    assert store.forget("c") == 1 and store.forget("c") == 0
    with pytest.raises(UserError, match="There is no conversation 'c'; it was never begun here, or was forgotten"):
        store.commit("c", turn(3), after(3))
    assert [store.forget_user("alice"), store.forget_user("alice")] == [1, 0]
    assert [store.forget_events("", "alice"), store.forget_events("", "alice")] == [1, 0]
    assert words not in everything(store) and "alice" not in everything(store)
    assert [found.id for found in store.summaries()] == ["kept"]
    assert store.load("kept") == kept


# Many at once.


def test_many_threads_hold_conversations_at_once(store: ConversationStore) -> None:
    def talk(place: int) -> None:
        hold(store, f"c{place}", 4, f"user {place % 3}")
        store.add_event("", "films", f"user {place % 3}", Event(item_id=str(place), kind="seen", at=AT))
        if place % 4 == 0:
            assert store.forget(f"c{place}") == 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(talk, range(24)))
    assert {found.id for found in store.summaries()} == {f"c{place}" for place in range(24) if place % 4}
    for found in store.summaries():
        assert [said.utterance for said in store.load(found.id).turns] == [
            f"a comedy of {found.id}, {number}" for number in (1, 2, 3, 4)
        ]
    assert [len(store.events("", f"user {place}")) for place in range(3)] == [8, 8, 8]


def test_items_that_join_at_once_are_all_there_and_whoever_follows_misses_none(store: ConversationStore) -> None:
    done = Flag()

    def follow() -> list[str]:
        found: list[tuple[int, dict[str, Any]]] = []
        while True:
            last = done.is_set()
            found += store.items_after("films", found[-1][0] if found else 0)
            if last:
                return [row["item_id"] for _, row in found]

    with ThreadPoolExecutor(9) as pool:
        followed = pool.submit(follow)
        try:
            list(pool.map(lambda n: store.add_items("films", [{"item_id": f"{n} {i}"} for i in "ab"]), range(40)))
        finally:
            done.set()
    numbers, rows = zip(*store.items_after("films", 0), strict=True)
    assert list(numbers) == list(range(1, 81)) and store.items_joined("films") == 80
    assert sorted(row["item_id"] for row in rows) == sorted(f"{n} {i}" for n in range(40) for i in "ab")
    assert followed.result() == [row["item_id"] for row in rows]


def test_whoever_loads_a_conversation_that_goes_on_sees_it_after_one_of_its_turns(store: ConversationStore) -> None:
    store.begin("c", Session(), "movies")
    enough = Flag()

    def talk() -> None:
        for number in itertools.count(1):
            if enough.is_set():
                return
            store.commit("c", turn(number), after(number))

    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(talk)
        try:
            lengths: set[int] = set()
            while len(lengths) < 20 and not talking.done():
                stored = store.load("c")  # which says "cannot be read" where turns and session do not fit
                lengths.add(len(stored.turns))
        finally:
            enough.set()
        talking.result()
