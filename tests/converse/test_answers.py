"""Claims about answers from the catalogue, about what is said of a turn, and about the examples that are offered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from converse_stubs import genre, no_genre, rule, years

from latentcrs.converse import replies
from latentcrs.converse.answers import LONGEST_STORY, answer, describe, shown
from latentcrs.converse.examples import example_request, example_requests
from latentcrs.data import ColumnKind
from latentcrs.hear import HeardRule
from latentcrs.recommend import Recommender
from latentcrs.store.session import Session, Turn, TurnItem

FILM: dict[str, ColumnKind] = {
    "year": "year",
    "genres": "multi-category",
    "certificate": "category",
    "director": "multi-category",
    "actors": "multi-category",
    "writers": "multi-category",
    "plot": "text",
}
HEAT = {
    "title": "Heat", "year": 1995, "genres": ["Crime", "Thriller"], "certificate": "R", "director": ["Michael Mann"],
    "actors": ["Al Pacino", "Robert De Niro", "Val Kilmer"], "writers": [], "plot": "Hunters and their prey.",
}  # fmt: skip
GAME: dict[str, ColumnKind] = {
    "platform": "category", "publisher": "category", "price": "number", "running_time": "number", "esrb": "category",
}  # fmt: skip
PONG = {"title": "Pong", "platform": "PS4", "publisher": "Atari", "price": 19.99, "running_time": 90.0, "esrb": None}


@pytest.mark.parametrize(
    ("item", "columns", "about", "said"),
    [
        (HEAT, FILM, "director", "Heat was directed by Michael Mann."),
        (HEAT, FILM, "actor", "Heat has Al Pacino, Robert De Niro and Val Kilmer."),
        (HEAT, FILM, "year", "Heat is from 1995."),
        (HEAT, FILM, "genre", "Heat is Crime and Thriller."),
        (HEAT, FILM, "certificate", "Heat is rated R."),
        (HEAT, FILM, "plot", "Heat: Hunters and their prey."),
        (HEAT, FILM, "writer", "The catalogue does not say who wrote Heat."),
        (HEAT, FILM, "length", "The catalogue does not say the length of Heat."),
        (HEAT, FILM, "price", "The catalogue does not say the price of Heat."),
        (HEAT, FILM, "platform", "The catalogue does not say the platform of Heat."),
        (HEAT, FILM, "unknown", "The catalogue does not say that of Heat."),
        (HEAT | {"director": None}, FILM, "director", "The catalogue does not say who directed Heat."),
        (HEAT | {"plot": "  "}, FILM, "plot", "The catalogue does not say what happens in Heat."),
        (HEAT | {"actors": [None, ""]}, FILM, "actor", "The catalogue does not say who is in Heat."),
        (PONG, GAME, "platform", "Pong is for PS4."),
        (PONG, GAME, "price", "Pong costs 19.99."),
        (PONG, GAME, "developer", "Pong was published by Atari."),
        (PONG, GAME, "length", "Pong: running time 90."),
        (PONG, GAME, "certificate", "The catalogue does not say the age rating of Pong."),
        (PONG, GAME, "director", "The catalogue does not say who directed Pong."),
        (PONG | {"price": float("nan")}, GAME, "price", "The catalogue does not say the price of Pong."),
        (PONG | {"price": 1234567.0}, GAME, "price", "Pong costs 1234567."),
        (HEAT, FILM, "", "Heat: year 1995; genres Crime and Thriller; certificate R; director Michael Mann; "
                         "actors Al Pacino, Robert De Niro and Val Kilmer. Hunters and their prey."),
        ({"title": "{Proof}"}, {}, "", "{Proof}."),
    ],
)  # fmt: skip
def test_an_answer_says_what_the_catalogue_says(
    item: dict[str, Any], columns: dict[str, ColumnKind], about: str, said: str
) -> None:
    assert answer(item, about, columns) == said


def test_every_answer_about_every_film_is_of_its_own_row(recommender: Recommender) -> None:
    bundle = recommender.bundle
    column_of = {"director": "director", "actor": "actors", "writer": "writers", "genre": "genres", "year": "year"}
    for item in bundle.items.head(60).iter_rows(named=True):
        for about, column in column_of.items():
            said, value = answer(item, about, bundle.columns), item[column]
            if not value:
                assert said.startswith("The catalogue does not say")
            parts = value if isinstance(value, list) else [value]
            assert all(str(part) in said for part in parts if value)


def test_a_long_story_is_cut_at_a_word() -> None:
    said = answer({"title": "Long", "plot": "word " * 500}, "plot", FILM)
    assert said.endswith("word …") and len(said) < LONGEST_STORY + 20


def test_nothing_is_described_that_is_not_there() -> None:
    assert describe({"title": "Bare", "year": None, "genres": [], "plot": None}, FILM) == "Bare."
    assert shown([None]) == shown(None) == shown([]) == ""
    assert shown(0) == "0"


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (genre("Comedy"), "Comedy"),
        (rule("genres", "has any", "Comedy", "Drama", "War"), "Comedy, Drama or War"),
        (rule("genres", "has all", "Comedy", "Drama"), "Comedy and Drama"),
        (no_genre("Horror"), "no Horror"),
        (rule("genres", "not", "Horror", "War", "Western"), "no Horror, War or Western"),
        (years(1990, 1999), "year 1990 to 1999"),
        (years(1994, 1994), "year 1994"),
        (rule("year", "<", 1980), "year < 1980"),
        (rule("year", "is", 1994), "1994"),
        (rule("year", "not", *range(1980, 1990)), "not 1980 to 1989"),
        (rule("year", "not", 1980, 1981), "not 1980 to 1981"),
        (rule("year", "is", *range(1960, 1970), *range(1980, 1990)), "1960 to 1969 or 1980 to 1989"),
        (rule("year", "not", 1960, 1962, 1963), "not 1960 or 1962 to 1963"),
        (rule("price", "is", 9.5), "9.5"),
        (rule("text", "contains", "submarine"), "“submarine”"),
        (rule("title", "contains", "love", "war"), "“love or war”"),
    ],
)
def test_a_rule_is_said_in_words(heard: HeardRule, said: str) -> None:
    assert replies.phrase(heard.rule) == said


def turn_of(*fails: list[HeardRule], nearest: bool = False, **more: Any) -> Turn:
    """A turn with one item for each list of rules that it fails."""
    items = [
        TurnItem(item_id=str(n), title=str(n), score=1, fails=[str(heard.rule) for heard in failed])
        for n, failed in enumerate(fails)
    ]
    relaxed = list(dict.fromkeys(str(heard.rule) for failed in fails for heard in failed))
    return Turn(
        number=1, utterance="", kind="request", variant="f", items=items, relaxed=relaxed, nearest=nearest, **more
    )


COMEDY, NINETIES = genre("Comedy"), years(1990, 1999)
ONLY = genre("Horror", insisted=True)


@pytest.mark.parametrize(
    ("turn", "rules", "said"),
    [
        (turn_of([], [], rules=["x"]), [COMEDY, NINETIES], "With Comedy and year 1990 to 1999:"),
        (turn_of([], [COMEDY], [COMEDY]), [COMEDY, NINETIES], "Only one has all of it; the rest lack Comedy."),
        (turn_of([], [], [COMEDY], [NINETIES]), [COMEDY, NINETIES],
         "Only 2 have all of it; the rest lack Comedy or year 1990 to 1999."),
        (turn_of([NINETIES]), [COMEDY, NINETIES], "Nothing left has all of it; these lack year 1990 to 1999."),
        (turn_of([ONLY], nearest=True), [COMEDY, ONLY], "Nothing that is left has Horror. The nearest:"),
        (turn_of(), [COMEDY], replies.NOTHING_LEFT),
        (turn_of([], unknown=["on Netflix", "in French"]), [],
         "This catalogue cannot tell: “on Netflix” and “in French”. For what you said:"),
        (turn_of([], taken_back=["genres: Comedy"]), [],
         "No longer: Comedy. For what you said:"),
    ],
)  # fmt: skip
def test_what_is_said_above_a_list_names_what_is_lacking(turn: Turn, rules: list[HeardRule], said: str) -> None:
    assert replies.recommending(turn, Session(rules=rules)) == said


def test_without_words_the_list_is_by_what_was_liked() -> None:
    assert replies.recommending(turn_of([]), Session(liked=["1"])) == "From what you liked before:"


def catalogue(columns: dict[str, ColumnKind], **values: list[Any]) -> Any:
    return SimpleNamespace(columns=columns, items=pl.DataFrame(values))


def test_an_example_is_of_the_commonest_values_and_their_commonest_decade(recommender: Recommender) -> None:
    bundle = recommender.bundle
    rows = bundle.items.explode("genres")
    counts: dict[str, int] = {}
    for value in rows["genres"].to_list():
        counts[value] = counts.get(value, 0) + 1
    by_hand = []
    for value in sorted(counts, key=lambda value: -counts[value])[:3]:
        decades = [year // 10 * 10 for year in rows.filter(pl.col("genres") == value)["year"].to_list()]
        by_hand.append(f"{value.lower()} from the {max(set(decades), key=decades.count)}s")
    assert example_requests(bundle) == by_hand
    assert example_request(bundle) == f"“{by_hand[0]}”"


@pytest.mark.parametrize(
    ("offered", "examples"),
    [
        (catalogue({"platform": "category"}, platform=["PS4", "PS4", None]), ["something for PS4"]),
        (catalogue({"artist": "category", "year": "year"}, artist=["Abba", None], year=[1976, None]),
         ["something by Abba"]),
        (catalogue({"genre": "category", "year": "year"}, genre=["RPG"], year=[None]), ["RPG"]),
        (catalogue({"genre": "category"}, genre=["{x}"]), ["{x}"]),
        (catalogue({}, title=["A"]), ["something like what I had before"]),
        (catalogue({"genre": "category"}, genre=[None, None]), ["something like what I had before"]),
        (catalogue({"genre": "category"}, genre=[f"g{n}" for n in range(500)]), ["something like what I had before"]),
        (catalogue({"genres": "multi-category"}, genres=[["Sci-Fi"], [], None]), ["sci-fi"]),
    ],
)  # fmt: skip
def test_every_catalogue_has_an_example(offered: Any, examples: list[str]) -> None:
    assert example_requests(offered) == examples
