"""What the lexical extractor makes of people who chat: titles, comments, questions and tastes beside requests."""

from __future__ import annotations

import polars as pl
import pytest
from lexical_films import COLUMNS, FILMS, catalogue, rules, wishes

from latentcrs.language.extract import LexicalExtractor
from latentcrs.language.extract.english import says_nothing


@pytest.fixture(scope="module")
def films() -> LexicalExtractor:
    return LexicalExtractor(catalogue(FILMS), COLUMNS)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("something like Red (2008)", set()),
        ("Have you seen Titanic (1997)? I want a comedy", {"genres: Comedy"}),
        ("something like speed (1994) or Heat (1995)", set()),
        ("comedies like When Harry Met Sally... (1989)", {"genres: Comedy"}),
        ("I love Horror movies like It Follows (2014)", {"genres: Horror"}),
        ('a western like "The Mystery of Everything"', {"genres: Western"}),
        ("I don't like romance Romancing the Stone was okay", {"genres: not Romance"}),
        ("I'm looking for Action Champions or whatever it was called", set()),
        ("I thought Crime Story was boring", set()),
        ("the original from 1968", set()),
        ("a drama from 1968", {"genres: Drama", "year 1968"}),
    ],
)
def test_titles_are_names_be_they_in_the_catalogue_or_not(
    films: LexicalExtractor, said: str, expected: set[str]
) -> None:
    assert rules(films.extract(said)) == expected


@pytest.mark.parametrize(
    "said",
    [
        "it's a really good documentary",
        "its a really good documentary",
        "Those are all PG-13",
        "Oh that was a funny one!",
        "That movie was hilarious",
        "I thought it was a romantic comedy",
        "Toy Story is a comedy",
        "my favorite comedy is Toy Story",
        "A third good movie that is a comedy is Caddyshack (1980)",
        "I loved Tom Hanks in Big",
        "Tom Hanks was great in that",
        "With Meg Ryan, such a good movie",
        "No thanks, too scary for me",
        "I've been watching a lot of horror lately",
        "I saw a lot of comedies this year",
        "is that an action one?",
        "was that one rated R?",
        "isn't that the one with Meg Ryan?",
        "Is Tom Hanks in it?",
        "have you seen any good horror?",
        "do you like comedies?",
        "he only watches war movies",
        "my wife loves romance",
        "thanks for the comedy!",
    ],
)
def test_comments_questions_and_the_tastes_of_others_ask_for_nothing(films: LexicalExtractor, said: str) -> None:
    heard = films.extract(said)
    assert not (heard.rules or heard.wishes or heard.dropped)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("It was scary. I want something funny", {"genres: Comedy"}),
        ("my wife loves romance, but I want horror", {"genres: Horror"}),
        ("it should have Tom Hanks in it", {"actors: Tom Hanks"}),
        ("It is for my kids", {"genres: Children's"}),
        ("I think it's from 1992 and it should be a western", {"year 1992", "genres: Western"}),
        ("I love Tom Hanks, he's hilarious", {"actors: Tom Hanks"}),
        ("My favorite genre is horror", {"genres: Horror"}),
        ("My favorite actor is Tom Hanks", {"actors: Tom Hanks"}),
        ("what are some good comedies?", {"genres: Comedy"}),
        ("is there a comedy that's also a mystery?", {"genres: Comedy", "genres: Mystery"}),
        ("do you have any war films?", {"genres: War"}),
        ("I could go for a western", {"genres: Western"}),
        ("I'm thinking about a thriller", {"genres: Thriller"}),
        ("a mystery, older than 1960 if you have it", {"genres: Mystery", "year < 1960"}),
        ("I am open to anything but I really like Drama", {"genres: Drama"}),
    ],
)
def test_requests_beside_talk_are_heard(films: LexicalExtractor, said: str, expected: set[str]) -> None:
    assert rules(films.extract(said)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I love comedies, musicals, and action as well", {"genres: Comedy or Musical or Action"}),
        ("I like Drama and Comedy", {"genres: Drama or Comedy"}),
        ("westerns and war movies", {"genres: Western or War"}),
        ("I'm a big fan of sci-fi, fantasy and horror", {"genres: Sci-Fi or Fantasy or Horror"}),
        ("I like Tom Hanks, Meg Ryan and Gene Hackman", {"actors: Tom Hanks or Meg Ryan or Gene Hackman"}),
        ("comedies or romantic comedies", {"genres: Comedy"}),
        ("action, drama, that sort of thing", {"genres: Action or Drama"}),
        ("I love action comedies", {"genres: Action", "genres: Comedy"}),
        ("I'd love an action comedy", {"genres: Action", "genres: Comedy"}),
    ],
)
def test_lists_of_tastes_are_either_or(films: LexicalExtractor, said: str, expected: set[str]) -> None:
    assert rules(films.extract(said)) == expected


@pytest.mark.parametrize(
    ("said", "hard", "soft"),
    [
        ("can't be rated R", {"certificate: not R"}, set()),
        ("something funny, but not a romantic comedy", {"genres: Comedy", "genres: not Romance"}, set()),
        ("no dirty comedies", set(), set()),
        ("horror movies? I hate them", {"genres: not Horror"}, set()),
        ("not particularly interested in romance", set(), {"genres: not Romance"}),
        ("less romance", set(), {"genres: not Romance"}),
        ("I wouldn't say no to a musical", set(), {"genres: Musical"}),
        ("I prefer comedies over dramas", set(), {"genres: Comedy"}),
        ("Tom Hanks always makes me laugh", set(), {"actors: Tom Hanks"}),
        ("horror, westerns would be a bonus", {"genres: Horror"}, {"genres: Western"}),
        ("any year is fine but I love the 80s", set(), {"year 1980 to 1989"}),
        ("PG is fine, PG-13 is not", {"certificate: not PG-13"}, set()),
        ("PG at most", {"certificate: G or PG"}, set()),
        ("nothing above PG-13", {"certificate: G or PG or PG-13"}, set()),
        ("rated PG, no R", {"certificate: PG", "certificate: not R"}, set()),
        ("a thriller for grown-ups", {"genres: Thriller", "genres: not Children's"}, set()),
        ("mid 80s or earlier? Even the 60s", {"year <= 1986"}, set()),
    ],
)
def test_denials_bounds_and_soft_words(films: LexicalExtractor, said: str, hard: set[str], soft: set[str]) -> None:
    heard = films.extract(said)
    assert (rules(heard), wishes(heard)) == (hard, soft)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("any good zombie movies?", {"text says zombie"}),
        ("zombies!", {"text says zombie"}),
        ("you know, a proper heist", {"text says heist"}),
        ("a robot comedy", {"text says robot", "genres: Comedy"}),
        ("I prefer movies that are fun", set()),
        ("I don't have a preference", set()),
        ("with some good acting", set()),
        ("nothing gory", set()),
    ],
)
def test_subjects_are_known_and_common_words_are_none(films: LexicalExtractor, said: str, expected: set[str]) -> None:
    assert rules(films.extract(said)) == expected


@pytest.mark.parametrize(
    "said",
    ["any anime", "a Pixar film", "in black and white", "with subtitles", "with a strong female lead",
     "something still in theaters", "a movie based on a true story", "with The Rock"],
)  # fmt: skip
def test_more_conditions_that_no_column_decides_are_named(films: LexicalExtractor, said: str) -> None:
    heard = films.extract(said)
    assert heard.unknown and not heard.rules


def test_siblings_are_all_meant() -> None:
    rows = [*FILMS, ("Blood Simple", 1984, ["Crime"], "R", ["Joel Coen", "Ethan Coen"], ["Frances McDormand"])]
    films = LexicalExtractor(catalogue(rows), COLUMNS)
    assert rules(films.extract("films by the Coen brothers")) == {"director: Joel Coen or Ethan Coen"}


def test_actual_games_are_told_from_accessories_and_series_from_titles() -> None:
    rows = [
        ("Star Wars: Episode I", "game", "Action"),
        ("Dragon Ball Z", "game", "Fighting"),
        ("Pad", "accessory", None),
    ]
    items = pl.DataFrame(rows, schema=["title", "kind", "genre"], orient="row").with_columns(text=pl.col("title"))
    games = LexicalExtractor(items, {"kind": "category", "genre": "category"})
    assert rules(games.extract("I want actual games")) == {"kind: game"}
    assert rules(games.extract("a game")) == set()
    assert rules(games.extract("a star wars game")) == {"text says star wars"}
    assert rules(games.extract("a dragon ball game")) == {"text says dragon ball"}


@pytest.mark.parametrize(
    "said",
    [
        "That was so funny",
        "Very funny!",
        "I heard it was really scary",
        "Oh she can be pretty funny.",
        "It came out in 1994.",
        "Tom Hanks is hilarious. I haven't heard of that one yet",
        "With Tom Hanks? That sounds good",
        "It is a good one. With Tom Hanks.",
        "haven't seen that is it funny or serious?",
        "You were mentioning action movies.",
        "I remember it being scary",
        "So I guess I should look forward to lots of laughs then",
        "he is a funny guy",
        "I love the musical parts",
        "I already own plenty of horror",
    ],
)
def test_what_is_said_of_something_else_asks_for_nothing(films: LexicalExtractor, said: str) -> None:
    assert films.extract(said).rules == films.extract(said).wishes == (), said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("something that is really funny", {"genres: Comedy"}),
        ("the movie should be funny and not so scary", {"genres: Comedy", "genres: not Horror"}),
        ("so scary movies then", {"genres: Horror"}),
        ("Really funny please", {"genres: Comedy"}),
        ("Do you know anything that's a funny kids movie?", {"genres: Comedy", "genres: Children's"}),
        ("maybe you can suggest a comedy", {"genres: Comedy"}),
        ("it's got to be a comedy", {"genres: Comedy"}),
    ],
)
def test_judgements_that_are_asked_for(films: LexicalExtractor, said: str, expected: set[str]) -> None:
    assert rules(films.extract(said)) == expected


def test_adverbs_are_no_topics(films: LexicalExtractor) -> None:
    assert not films.extract("actually, drop the 90s thing").rules
    assert not says_nothing("family") and not says_nothing("robot")
    assert says_nothing("actually") and says_nothing("possibly") and says_nothing("happily") and says_nothing("with")
