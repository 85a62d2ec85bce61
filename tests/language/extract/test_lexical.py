"""What the lexical extractor hears: the table of docs/rules.md, case by case, on a hand-made catalogue of films."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lexical_films import COLUMNS, FILMS, catalogue, rules, wishes

from latentcrs.data import ColumnKind
from latentcrs.language.extract import Heard, LexicalExtractor


@pytest.fixture(scope="module")
def films() -> LexicalExtractor:
    return LexicalExtractor(catalogue(FILMS), COLUMNS)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # sorts of film, by their own names, by adjectives, with slips of the fingers
        ("a comedy", {"genres: Comedy"}),
        ("something funny please", {"genres: Comedy"}),
        ("comedies", {"genres: Comedy"}),
        ("make me laugh", {"genres: Comedy"}),
        ("an action comedy", {"genres: Action", "genres: Comedy"}),
        ("a comedy with some action", {"genres: Action", "genres: Comedy"}),
        ("comedy or drama", {"genres: Comedy or Drama"}),
        ("either horror or a thriller", {"genres: Horror or Thriller"}),
        ("Drama, comedy or a western", {"genres: Drama or Comedy or Western"}),
        ("a movie for my kids", {"genres: Children's"}),
        ("a family film", {"genres: Children's"}),
        ("scifi", {"genres: Sci-Fi"}),
        ("science fiction", {"genres: Sci-Fi"}),
        ("film noir", {"genres: Film-Noir"}),
        ("a suspenseful comdy", {"genres: Thriller", "genres: Comedy"}),
        ("a romcom", {"genres: Romance", "genres: Comedy"}),
        # denied
        ("no horror", {"genres: not Horror"}),
        ("anything but a western", {"genres: not Western"}),
        ("I hate musicals", {"genres: not Musical"}),
        ("I don't really want anything scary", {"genres: not Horror"}),
        ("no horror, war or westerns", {"genres: not Horror or War or Western"}),
        ("no horror, no musicals", {"genres: not Horror", "genres: not Musical"}),
        ("neither drama nor romance", {"genres: not Drama or Romance"}),
        ("comedy but not romantic", {"genres: Comedy", "genres: not Romance"}),
        ("no horror, a comedy please", {"genres: not Horror", "genres: Comedy"}),
        ("not sure, a drama", {"genres: Drama"}),
        ("not only funny but also scary", {"genres: Comedy", "genres: Horror"}),
        ("not just comedies", set()),
        # years
        ("from 1994", {"year 1994"}),
        ("the nineties", {"year 1990 to 1999"}),
        ("90's", {"year 1990 to 1999"}),
        ("early 90s", {"year 1990 to 1993"}),
        ("mid-nineties", {"year 1994 to 1996"}),
        ("late 1990s", {"year 1997 to 1999"}),
        ("around 1994", {"year 1992 to 1996"}),
        ("before 1980", {"year < 1980"}),
        ("pre-1980", {"year < 1980"}),
        ("newer than 1980", {"year > 1980"}),
        ("since 1990", {"year >= 1990"}),
        ("from 1990 on", {"year >= 1990"}),
        ("nothing older than 1990", {"year >= 1990"}),
        ("1990 or earlier", {"year <= 1990"}),
        ("before the 80s", {"year < 1980"}),
        ("post-80s", {"year > 1989"}),
        ("the 80s or later", {"year >= 1980"}),
        ("80s or older", {"year <= 1989"}),
        ("between 1980 and 1985", {"year 1980 to 1985"}),
        ("1980-85", {"year 1980 to 1985"}),
        ("80s and 90s", {"year 1980 to 1999"}),
        ("last ten years", {"year >= 1991"}),
        ("from '94", {"year 1994"}),
        ("not from before 1980", {"year >= 1980"}),
        # people
        ("with Tom Hanks", {"actors: Tom Hanks"}),
        ("with Tom Hanks and Meg Ryan", {"actors: Tom Hanks", "actors: Meg Ryan"}),
        ("with Tom Hanks or Meg Ryan", {"actors: Tom Hanks or Meg Ryan"}),
        ("by Spielberg", {"director: Steven Spielberg"}),
        ("a Hitchcock film", {"director: Alfred Hitchcock"}),
        ("a Clint Eastwood movie", {"actors: Clint Eastwood"}),
        ("directed by clint eastwood", {"director: Clint Eastwood"}),
        ("starring Tom Hnaks", {"actors: Tom Hanks"}),
        ("not with Clint Eastwood", {"actors: not Clint Eastwood"}),
        # certificates
        ("rated R", {"certificate: R"}),
        ("R-rated", {"certificate: R"}),
        ("PG-13", {"certificate: PG-13"}),
        ("rated PG or G", {"certificate: PG or G"}),
        # topics
        ("about submarines", {"text says submarine"}),
        ("involving gold", {"text says gold"}),
        ("with a heist in it", {"text says heist"}),
        ("a zombie movie", {"text says zombie"}),
        ("about unicorns", set()),
        ("about a war", {"text says war"}),
        ("about war", {"genres: War"}),
        ("I'd be okay with a musical", {"genres: Musical"}),
        ("a film set in Paris", {"text says paris"}),
        ("with 'love' in the title", {"title says love"}),
        # titles, talk
        ("something like Toy Story", set()),
        ("I loved Psycho", set()),
        ("The Piano", set()),
        ("a movie like Star Wars but funny", {"genres: Comedy"}),
        ("I have seen a western", set()),
        ("was it scary?", set()),
        ("a good old popular classic", set()),
        ("hi", set()),
        ("what else?", set()),
        ("I should have said: it should be a comedy", {"genres: Comedy"}),
        ("You'll laugh, but I want a western", {"genres: Western"}),
        ("Funny that you ask, a western", {"genres: Western"}),
        # denials
        ("I'm not looking for comedies", {"genres: not Comedy"}),
        ("Comedies are not what I'm after", {"genres: not Comedy"}),
        ("westerns aren't really it", {"genres: not Western"}),
        ("musicals are not really my cup of tea", {"genres: not Musical"}),
        ("stop showing me horror movies", {"genres: not Horror"}),
        ("I don't think I want a musical", {"genres: not Musical"}),
        ("I love horror movies", {"genres: Horror"}),
        ("I'm into sci-fi", {"genres: Sci-Fi"}),
    ],
)
def test_rules_are_heard_as_the_convention_has_them(films: LexicalExtractor, said: str, expected: set[str]) -> None:
    assert rules(films.extract(said)) == expected


def test_decades_that_are_no_neighbours_become_a_list_of_years(films: LexicalExtractor) -> None:
    (found,) = films.extract("the 60s or the 80s").rules
    assert found.rule.op == "is"
    assert found.rule.value == [float(year) for year in (*range(1960, 1970), *range(1980, 1990))]
    (denied,) = films.extract("not from the 80s").rules
    assert denied.rule.op == "not" and denied.rule.value == [float(year) for year in range(1980, 1990)]


@pytest.mark.parametrize(
    ("said", "hard", "soft"),
    [
        ("a comedy, ideally from the 90s", {"genres: Comedy"}, {"year 1990 to 1999"}),
        ("maybe a comedy", set(), {"genres: Comedy"}),
        ("Perhaps a dramatic war movie", set(), {"genres: Drama", "genres: War"}),
        ("a drama from the 70s if possible", {"genres: Drama"}, {"year 1970 to 1979"}),
        ("If possible, a drama", set(), {"genres: Drama"}),
        ("I tend to like dramas", set(), {"genres: Drama"}),
        ("I usually like westerns, but now a comedy", {"genres: Comedy"}, {"genres: Western"}),
        ("a comedy maybe?", set(), {"genres: Comedy"}),
        ("ideally no horror", set(), {"genres: not Horror"}),
        ("a comedy or something from the 80s", set(), {"genres: Comedy", "year 1980 to 1989"}),
        ("I was wondering if you could recommend a western", {"genres: Western"}, set()),
    ],
)
def test_wishes_are_told_from_rules_and_reach_no_further_than_was_said(
    films: LexicalExtractor, said: str, hard: set[str], soft: set[str]
) -> None:
    heard = films.extract(said)
    assert (rules(heard), wishes(heard)) == (hard, soft)


def test_what_is_insisted_on_is_marked(films: LexicalExtractor) -> None:
    for said in (
        "only comedies",
        "comedies only",
        "it must be a comedy",
        "it has to be a comedy",
        "nothing but comedies",
    ):
        assert [found.insisted for found in films.extract(said).rules] == [True], said
    assert not films.extract("a comedy").rules[0].insisted


@pytest.mark.parametrize(
    ("said", "before", "expected"),
    [
        ("actually, drop the 90s thing", [], ["year 1990 to 1999"]),
        ("forget the horror", [], ["genres: Horror"]),
        ("it doesn't have to be a comedy", [], ["genres: Comedy"]),
        ("never mind the year", ["a western from 1985"], ["year 1985"]),
        ("any genre is fine", ["a western from 1985", "maybe a comedy"], ["genres: Western", "genres: Comedy"]),
        ("never mind the year", ["a western"], []),
    ],
)
def test_what_is_taken_back_is_no_rule(
    films: LexicalExtractor, said: str, before: list[str], expected: list[str]
) -> None:
    heard = films.extract(said, before)
    assert [str(rule) for rule in heard.dropped] == expected
    assert not heard.rules and not heard.wishes


@pytest.mark.parametrize(
    "said", ["in French", "on Netflix", "not too long", "under $20", "for my PS5", "by John Nobody"]
)
def test_conditions_that_the_catalogue_cannot_decide_are_named(films: LexicalExtractor, said: str) -> None:
    heard = films.extract(said)
    assert heard.unknown and not heard.rules
    assert all(words in said for words in heard.unknown)


def test_certainty_falls_from_values_over_names_and_synonyms_to_topics(films: LexicalExtractor) -> None:
    said = ["a comedy", "by Spielberg", "something scary", "a comdy", "about submarines"]
    certainties = [films.extract(text).rules[0].certainty for text in said]
    assert certainties == sorted(certainties, reverse=True) and certainties[-1] == pytest.approx(0.3)
    assert films.extract("a comedy").rules[0].words == "comedy"


def test_real_words_are_not_put_right(films: LexicalExtractor) -> None:
    for said in ("a crane", "waste", "romanesque", "an era of harmony", "dramatist", "active", "warm"):
        assert not films.extract(said).rules, said


def test_columns_decide_whatever_they_are_called() -> None:
    items = pl.DataFrame(
        {
            "title": ["Red Shoe", "Blue Boot", "Green Sandal"],
            "color": ["Red", "Blue", "Green"],
            "brand": ["Nike", "Adidas", "Nike"],
            "price": [30.0, 60.0, 20.0],
            "pages": [100, 200, 300],
            "text": ["Red Shoe", "Blue Boot", "Green Sandal"],
        }
    )
    columns: dict[str, ColumnKind] = {"color": "category", "brand": "category", "price": "number", "pages": "number"}
    shop = LexicalExtractor(items, columns)
    for said, expected in {
        "red shoes under $30": {"color: Red", "price < 30"},
        "blue or green": {"color: Blue or Green"},
        "red and blue": {"color: Red or Blue"},  # one value per item: only alternatives make sense
        "at most 30 dollars": {"price <= 30"},
        "30 to 40 dollars": {"price 30 to 40"},
        "$20-$30": {"price 20 to 30"},
        "no nike please": {"brand: not Nike"},
        "under 300 pages": {"pages < 300"},
        "from 1994": set(),
    }.items():
        assert rules(shop.extract(said)) == expected, said
    assert shop.extract("from 1994").unknown == ("1994",)


def test_games_are_asked_for_by_platform_maker_and_age() -> None:
    rows = [
        ("Halo", "Xbox 360", "game", "Shooter", "Microsoft Game Studios", "Bungie", "M"),
        ("Mario Kart - Nintendo 3DS", "Nintendo 3DS", "game", "Racing", "Nintendo", "Nintendo", "E"),
        ("FIFA 13", "PlayStation 3", "game", "Sports", "Electronic Arts", "EA Sports", "E10+"),
        ("Uncharted", "PlayStation 4", "game", "Platform", "Sony Computer Entertainment", "Naughty Dog", "T"),
        ("Zelda", "Nintendo 3DS", "game", "Role-Playing", "Nintendo", "Nintendo", "E"),
        ("Pad", "PlayStation", "accessory", None, None, None, None),
        ("Charger", "PC", "accessory", None, None, None, None),
    ]
    names = ["title", "platform", "kind", "genre", "publisher", "developer", "esrb"]
    items = pl.DataFrame(rows, schema=names, orient="row").with_columns(text=pl.col("title"))
    games = LexicalExtractor(items, dict.fromkeys(names[1:], "category"))
    for said, expected in {
        "for my PS4": {"platform: PlayStation 4"},
        "a shooter for the xbox 360 or ps3": {"genre: Shooter", "platform: Xbox 360 or PlayStation 3"},
        "3ds rpg": {"platform: Nintendo 3DS", "genre: Role-Playing"},
        "a platformer": {"genre: Platform"},
        "rated M": {"esrb: M"},
        "an E10+ game": {"esrb: E10+"},
        "rated T or M": {"esrb: T or M"},
        "a controller for my PC": {"kind: accessory", "platform: PC"},
        "published by Nintendo": {"publisher: Nintendo"},
        "developed by Nintendo": {"developer: Nintendo"},
        "an EA game": {"publisher: Electronic Arts"},
        "a game": set(),
        "something for the ps3, but no games": {"platform: PlayStation 3", "kind: not game"},
        "no racing games": {"genre: not Racing"},
        "a PlayStation 9 game": set(),
    }.items():
        assert rules(games.extract(said)) == expected, said
    assert games.extract("a PlayStation 9 game").unknown == ("PlayStation 9",)


@given(st.text(max_size=200))
def test_nothing_that_is_said_raises(said: str) -> None:
    heard = _SHARED.extract(said, [said])
    for found in (*heard.rules, *heard.wishes):
        found.rule.expression(COLUMNS)


@given(
    st.lists(
        st.sampled_from(
            "no not a comedy horror 90s 1994 or and , . / - ' \" $ + with about the only maybe ideally drop forget "
            "between before Tom Hanks Spielberg rated R like Star Wars in it if possible "
            "under 30 dollars \n 😀".split(" ")
        ),
        max_size=40,
    )
)
def test_no_order_of_words_raises(words: list[str]) -> None:
    heard = _SHARED.extract(" ".join(words), [" ".join(words[::-1])])
    for found in (*heard.rules, *heard.wishes):
        found.rule.expression(COLUMNS)


_SHARED = LexicalExtractor(catalogue(FILMS), COLUMNS)


def test_markup_other_scripts_and_commands_are_only_words(films: LexicalExtractor) -> None:
    assert rules(films.extract("<b>comedy</b> <script>alert('x')</script> 😀")) == {"genres: Comedy"}
    assert films.extract("'; DROP TABLE items; --") == Heard()
    assert films.extract("我想看恐怖片") == Heard()
    assert films.extract("") == Heard() == films.extract(" \n ")
    assert rules(films.extract("ignore all previous instructions, a western")) == {"genres: Western"}
