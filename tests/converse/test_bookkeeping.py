"""Claims about which rules are in force after what was said."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from converse_stubs import genre, no_genre, rule, years
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.converse.bookkeeping import applicable, update
from latentcrs.hear.reading import Heard, HeardRule, Reading
from latentcrs.recommend import Recommender
from latentcrs.store.session import Session

NINETIES, EIGHTIES = years(1990, 1999, words="the nineties"), years(1980, 1989, words="the 80s")
COMEDY, ROMANCE, HORROR, NO_HORROR = genre("Comedy"), genre("Romance"), genre("Horror"), no_genre("Horror")


@pytest.fixture(scope="module")
def games() -> Recommender:
    """Five games, each on one platform."""
    frame = pl.DataFrame(
        {
            "item_id": list("abcde"),
            "title": list("ABCDE"),
            "platform": ["PS4", "PS4", "Xbox One", "Xbox One", None],
            "price": [10.0, 20.0, 30.0, 40.0, None],
        }
    )
    columns = {"platform": "category", "price": "number"}
    return Recommender(SimpleNamespace(items=frame, columns=columns, facts=(frame, columns), hidden=frozenset()))  # type: ignore[arg-type]


def in_force(recommender: Recommender, *said: HeardRule | Heard, session: Session | None = None) -> list[HeardRule]:
    """The rules in force after these were heard, one utterance each."""
    session = session or Session()
    for heard in said:
        update(recommender, session, heard if isinstance(heard, Heard) else Heard(rules=(heard,)))
    return session.rules


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (NINETIES, EIGHTIES),
        (HORROR, NO_HORROR),
        (NO_HORROR, HORROR),
        (rule("year", "<", 1980), rule("year", ">", 1990)),
        (NINETIES, rule("year", "not", *range(1990, 2000))),
        (rule("director", "has any", "Steven Spielberg"), rule("director", "not", "steven spielberg")),
        (no_genre("Horror"), rule("genres", "has any", "Horror")),
    ],
)
def test_a_later_rule_replaces_one_that_it_contradicts(
    recommender: Recommender, earlier: HeardRule, later: HeardRule
) -> None:
    assert in_force(recommender, earlier, later) == [later]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (NINETIES, rule("year", ">", 1995)),
        (COMEDY, ROMANCE),
        (COMEDY, NINETIES),
        (COMEDY, NO_HORROR),
        (no_genre("War"), NO_HORROR),
        (rule("genres", "has any", "Comedy", "Drama"), COMEDY),
    ],
)
def test_a_later_rule_leaves_what_it_does_not_contradict(
    recommender: Recommender, earlier: HeardRule, later: HeardRule
) -> None:
    assert in_force(recommender, earlier, later) == [earlier, later]


def test_another_platform_replaces_the_first_and_a_price_does_not(games: Recommender) -> None:
    ps4, xbox = rule("platform", "has any", "PS4"), rule("platform", "has any", "Xbox One")
    cheap, cheaper, dear = rule("price", "<", 35), rule("price", "<=", 20), rule("price", ">", 35)
    assert in_force(games, ps4, xbox) == [xbox]
    assert in_force(games, ps4, cheap, xbox) == [cheap, xbox]
    assert in_force(games, cheap, cheaper) == [cheap, cheaper]
    assert in_force(games, cheap, dear) == [dear]


def test_rules_of_one_utterance_stand_together(recommender: Recommender) -> None:
    assert in_force(recommender, Heard(rules=(HORROR, NO_HORROR))) == [HORROR, NO_HORROR]


def test_a_rule_said_again_is_in_force_once_and_stays_insisted_on(recommender: Recommender) -> None:
    only = COMEDY.model_copy(update={"insisted": True})
    assert in_force(recommender, COMEDY, COMEDY) == [COMEDY]
    assert in_force(recommender, only, NINETIES, COMEDY) == [NINETIES, only]
    assert in_force(recommender, COMEDY, only) == [only]


def test_wishes_follow_the_same_rules_and_a_rule_that_is_liked_stays_one(recommender: Recommender) -> None:
    session = Session()
    update(recommender, session, Heard(rules=(COMEDY,), wishes=(NINETIES,)))
    assert (session.rules, session.wishes) == ([COMEDY], [NINETIES])
    update(recommender, session, Heard(wishes=(EIGHTIES,)))
    assert (session.rules, session.wishes) == ([COMEDY], [EIGHTIES])
    update(recommender, session, Heard(wishes=(COMEDY,)))
    assert (session.rules, session.wishes) == ([COMEDY], [EIGHTIES])
    update(recommender, session, Heard(rules=(NINETIES,)))
    assert (session.rules, session.wishes) == ([COMEDY, NINETIES], [])


def test_an_older_rule_only_ranks_where_less_than_a_handful_would_pass(recommender: Recommender) -> None:
    session, first, second = Session(), rule("title", "contains", "love"), rule("text", "contains", "war")
    update(recommender, session, Heard(rules=(first,)))
    update(recommender, session, Heard(rules=(second,)))
    assert (session.rules, session.wishes) == ([second], [first])


def test_a_turn_to_something_new_ends_what_was_in_force(recommender: Recommender) -> None:
    session = Session(said=["horror please"])
    update(recommender, session, Heard(rules=(HORROR,), wishes=(NINETIES,)))
    gone = update(recommender, session, Reading(rules=(COMEDY,), continues="turns"))
    assert (session.rules, session.wishes, session.said) == ([COMEDY], [], [])
    assert gone == [HORROR, NINETIES]


def test_what_is_said_again_is_no_turn(recommender: Recommender) -> None:
    session = Session()
    update(recommender, session, Heard(rules=(COMEDY, NINETIES)))
    assert update(recommender, session, Reading(rules=(COMEDY,), continues="turns")) == []
    assert session.rules == [NINETIES, COMEDY]


def test_a_refusal_alone_ends_nothing(recommender: Recommender) -> None:
    session = Session()
    update(recommender, session, Heard(rules=(COMEDY,)))
    assert update(recommender, session, Heard(rules=(NO_HORROR,), continues="turns")) == []
    assert session.rules == [COMEDY, NO_HORROR]


@pytest.mark.parametrize(
    ("earlier", "later", "left"),
    [((">", 1990), ("<", 1997), 2), ((">", 1990), (">", 1985), 1), (("<", 1990), ("<=", 1980), 1)],
)
def test_a_correction_of_numbers_replaces_what_bounds_the_same_end(
    recommender: Recommender, earlier: tuple[str, int], later: tuple[str, int], left: int
) -> None:
    session = Session(rules=[rule("year", *earlier)])
    update(recommender, session, Heard(rules=(rule("year", *later),), continues="corrects"))
    assert len(session.rules) == left and session.rules[-1] == rule("year", *later)


def test_a_correction_replaces_what_was_asked_of_its_column_and_leaves_exclusions(recommender: Recommender) -> None:
    session = Session()
    update(recommender, session, Heard(rules=(HORROR, no_genre("War"), NINETIES)))
    assert update(recommender, session, Reading(rules=(COMEDY,), continues="corrects")) == [HORROR]
    assert session.rules == [no_genre("War"), NINETIES, COMEDY]


@pytest.mark.parametrize(
    ("before", "dropped", "left"),
    [
        ([NINETIES, COMEDY], NINETIES, [COMEDY]),
        ([COMEDY, ROMANCE], COMEDY, [ROMANCE]),
        ([NO_HORROR, COMEDY], HORROR, [COMEDY]),
        ([NO_HORROR, COMEDY], NO_HORROR, [COMEDY]),
        ([HORROR, COMEDY], NO_HORROR, [COMEDY]),
        ([COMEDY], HORROR, [COMEDY]),
        ([rule("genres", "has any", "Comedy", "Drama"), ROMANCE], COMEDY, [ROMANCE]),
        ([COMEDY], genre("comedy"), []),
        ([rule("year", "<", 1985)], EIGHTIES, []),
        ([rule("year", "<", 1975)], EIGHTIES, [rule("year", "<", 1975)]),
        ([NINETIES, rule("year", ">", 1994)], NINETIES, [rule("year", ">", 1994)]),
        ([rule("year", "not", *range(1980, 1990)), COMEDY], EIGHTIES, [COMEDY]),
        ([rule("text", "contains", "submarine"), COMEDY], rule("text", "contains", "submarine"), [COMEDY]),
        ([rule("text", "contains", "submarine")], rule("text", "contains", "gold"),
         [rule("text", "contains", "submarine")]),
        ([COMEDY], rule("colour", "is", "red"), [COMEDY]),
    ],
)  # fmt: skip
def test_what_is_taken_back_goes_and_nothing_else(
    recommender: Recommender, before: list[HeardRule], dropped: HeardRule, left: list[HeardRule]
) -> None:
    session = Session(rules=list(before))
    gone = update(recommender, session, Heard(dropped=(dropped.rule,)))
    assert session.rules == left
    assert gone == [heard for heard in before if heard not in left]


def test_a_wish_is_taken_back_too(recommender: Recommender) -> None:
    session = Session(wishes=[NINETIES, COMEDY])
    assert update(recommender, session, Heard(dropped=(NINETIES.rule,))) == [NINETIES]
    assert session.wishes == [COMEDY]


def test_instead_replaces_what_was_asked_of_the_column_and_not_what_was_excluded(recommender: Recommender) -> None:
    session = Session(rules=[COMEDY, NINETIES, NO_HORROR])
    gone = update(recommender, session, Heard(rules=(ROMANCE,), continues="corrects"))
    assert session.rules == [NINETIES, NO_HORROR, ROMANCE]
    assert gone == [COMEDY]


@pytest.mark.parametrize(
    ("said", "words", "left"),
    [
        (["a comedy from the nineties"], "the nineties", ["a comedy from"]),
        (["something with a warm heart and war"], "war", ["something with a warm heart and"]),
        (["films of the 1990s and 90s"], "90s", ["films of the 1990s and"]),
        (["Robots  From THE Nineties"], "the nineties", ["Robots From"]),
        (["a film from the nineties"], "the nineties", []),
        (["the nineties"], "the nineties", []),
        (["robots", "the nineties please"], "the nineties", ["robots"]),
        (["c++ (and) more"], "(and)", ["c++ more"]),
        (["robots"], "", ["robots"]),
    ],
)
def test_the_words_of_what_is_gone_no_longer_ask_for_it(
    recommender: Recommender, said: list[str], words: str, left: list[str]
) -> None:
    session = Session(rules=[years(1990, 1999, words=words)], said=said)
    update(recommender, session, Heard(dropped=(NINETIES.rule,)))
    assert session.said == left


@pytest.mark.parametrize(
    "heard",
    [
        rule("colour", "is", "red", words="in red"),
        rule("genres", "has any", "Telenovela", words="a telenovela"),
        rule("year", "has any", "1990", words="1990"),
        rule("year", "is", "soon", words="soon"),
        rule("genres", ">", 3, words="more than three"),
        rule("year", ">", 2050, words="after 2050"),
        rule("year", "between", 1990, words="between 1990"),
        rule("text", "contains", "xyzzyx", words="xyzzyx"),
        rule("year", "is", float("nan"), words="never"),
        rule("text", "contains", "x" * 10_000, words="x"),
    ],
)
def test_what_the_catalogue_cannot_apply_is_left_out_and_named(recommender: Recommender, heard: HeardRule) -> None:
    found, unknown = applicable(recommender, Heard(rules=(heard, COMEDY), wishes=(heard,), unknown=("on Netflix",)))
    assert found.rules == (COMEDY,) and found.wishes == ()
    assert unknown == ["on Netflix", heard.words]


def test_words_of_a_number_that_filters_are_matched_with_no_plot() -> None:
    session = Session(said=["a comedy from  The Nineties, please", "no, about puppies"], rules=[NINETIES, COMEDY])
    assert session.wording == "a comedy from , please. no, about puppies"
    ranked = session.model_copy(update={"variant": "b"})
    assert ranked.wording == ranked.request == "a comedy from  The Nineties, please. no, about puppies"


def test_a_rule_without_words_is_named_by_itself(recommender: Recommender) -> None:
    _, unknown = applicable(recommender, Heard(rules=(rule("colour", "is", "red"),)))
    assert unknown == ["colour: red"]


POOL: list[tuple[HeardRule, Callable[[dict[str, Any]], bool]]] = [
    (COMEDY, lambda item: "Comedy" in item["genres"]),
    (ROMANCE, lambda item: "Romance" in item["genres"]),
    (HORROR, lambda item: "Horror" in item["genres"]),
    (NO_HORROR, lambda item: "Horror" not in item["genres"]),
    (genre("Western"), lambda item: "Western" in item["genres"]),
    (genre("Documentary"), lambda item: "Documentary" in item["genres"]),
    (NINETIES, lambda item: 1990 <= item["year"] <= 1999),
    (EIGHTIES, lambda item: 1980 <= item["year"] <= 1989),
    (rule("year", ">", 1995), lambda item: item["year"] > 1995),
    (rule("year", "<=", 1985), lambda item: item["year"] <= 1985),
    (rule("certificate", "is", "R"), lambda item: item["certificate"] == "R"),
    (rule("certificate", "not", "R"), lambda item: item["certificate"] != "R"),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=10))
def test_in_force_is_what_a_list_of_items_says_by_hand(recommender: Recommender, order: list[int]) -> None:
    items = list(recommender.bundle.items.iter_rows(named=True))
    passing = [{n for n, item in enumerate(items) if holds(item)} for _, holds in POOL]
    column = [heard.rule.column for heard, _ in POOL]
    expected: list[int] = []
    for new in order:
        kept = [old for old in expected if column[old] != column[new] or passing[old] & passing[new]]
        expected = [old for old in kept if old != new] + [new]
    session = Session()
    in_force(recommender, *(POOL[n][0] for n in order), session=session)
    held = {heard.model_dump_json() for heard in (*session.rules, *session.wishes)}
    assert held == {POOL[n][0].model_dump_json() for n in expected}


def test_more_of_a_number_turns_round_a_wish_for_less_and_no_rule(games: Recommender) -> None:
    session, less, more = Session(), rule("price", "<", 35), rule("price", ">", 15)
    update(games, session, Heard(wishes=(less,)))
    assert update(games, session, Heard(wishes=(more,))) == [less] and session.wishes == [more]
    session = Session(rules=[less])
    assert update(games, session, Heard(wishes=(more,))) == [] and session.rules == [less]
