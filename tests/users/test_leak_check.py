"""Claims about what gives an item away besides its title, and about sentences with that taken out."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from simulate_data import write_dataset

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.attributes import AttributesUser, Utterances
from latentcrs.users.leak import leaking_words, leaks, short_name, tokens
from latentcrs.users.leak_check import LeakCheck
from latentcrs.users.series_numbers import series_numbers

Talk = tuple[pl.DataFrame, Utterances]


@pytest.fixture(scope="module")
def check(movies: PreparedDataset) -> LeakCheck:
    return LeakCheck(movies)


@pytest.fixture(scope="module")
def numbers(movies: PreparedDataset) -> dict[str, int]:
    """Film -> its number, by title."""
    return {title: number for number, title in enumerate(movies.items["title"].to_list())}


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Toy Story 2", {2}),
        ("Rocky III", {3}),
        ("Father of the Bride Part II", {2}),
        ("Star Wars: Episode IV - A New Hope", {4}),
        ("Star Wars: Episode I - The Phantom Menace", {1}),
        ("Henry V", {5}),
        ("Doom 3 Resurrection of Evil - Xbox", {3}),
        ("Nightshade - PlayStation 2", set()),
        ("Evolve - PlayStation 4", set()),
        ("Halo 3 - Xbox 360", {3}),
        ("I, Robot", set()),
        ("The One", set()),
        ("2001: A Space Odyssey", set()),
        ("Kill Bill: Vol. 1", {1}),
    ],
)
def test_the_numbers_of_a_title(title: str, expected: set[int]) -> None:
    assert series_numbers(title) == expected


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("the second one", "Toy Story 2"),
        ("I mean part two of it", "Toy Story 2"),
        ("2nd in the series", "Toy Story 2"),
        ("the sequel, I think", "Toy Story 2"),
        ("number 3 please", "Rocky III"),
        ("the third instalment", "Rocky III"),
        ("have you got the third boxing film?", "Rocky III"),
        ("the third of the trilogy", "Back to the Future Part III"),
        ("episode four", "Star Wars: Episode IV - A New Hope"),
        ("Episode 4 would be great", "Star Wars: Episode IV - A New Hope"),
        ("the one with John Lasseter from 1999", "Toy Story 2"),
        ("something by Alfred Hitchcock, made in 1958", "Vertigo"),
        ("the Hitchcock film of 1958", "Vertigo"),
        ("alfred hitchcock 1958", "Vertigo"),
        ("Hitchcock, '58", "Vertigo"),
    ],
)
def test_a_number_or_a_person_and_a_year_give_a_film_away(
    text: str, title: str, check: LeakCheck, numbers: dict[str, int]
) -> None:
    assert not leaks(text, title)  # the title alone would not tell
    assert check.leaks(text, numbers[title])
    masked = check.masked(text, numbers[title])
    assert not check.leaks(masked, numbers[title])


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("for the PlayStation 2", "Toy Story 2"),
        ("the 2nd half of the 90s", "Toy Story 2"),
        ("about two brothers, rated 2", "Toy Story 2"),
        ("a film about the second world war", "Toy Story 2"),
        ("the third one", "Toy Story 2"),
        ("wait a second, please", "Toy Story 2"),
        ("a third-person game", "Rocky III"),
        ("a film from 1982 for three people", "Rocky III"),
        ("Alfred Hitchcock, from around 1958", "Vertigo"),
        ("Alfred Hitchcock, before 1958", "Vertigo"),
        ("Alfred Hitchcock in the 1950s", "Vertigo"),
        ("Alfred Hitchcock, 1959", "Vertigo"),
        ("a film from 1958 with a tower", "Vertigo"),
        ("a film by Alfred Hitchcock from 1954", "Rear Window"),  # he made two that year
    ],
)
def test_other_numbers_and_years_do_not(text: str, title: str, check: LeakCheck, numbers: dict[str, int]) -> None:
    assert not check.leaks(text, numbers[title])
    assert check.masked(text, numbers[title]) == text


@pytest.mark.parametrize(
    ("text", "title", "masked"),
    [
        ("Something like The Matrix please", "The Matrix", "Something like that one please"),
        ("I love 'The Matrix'. More sci-fi like that.", "The Matrix", "I love that one. More sci-fi like that."),
        ("a matrix movie with Keanu Reeves", "The Matrix", "A movie with Keanu Reeves"),
        ("Star Wars, I want star wars!", "Star Wars: Episode IV - A New Hope", "I want that one!"),
        ("the Hitchcock film from 1958, in black and white", "Vertigo", "The Hitchcock film, in black and white"),
        ("the animated film with toys by Ash Brannon", "Toy Story 2", "The animated film by Ash Brannon"),
        ("The second one", "Toy Story 2", ""),
        ("Psycho!", "Psycho", ""),
    ],
)
def test_what_is_masked_still_reads(
    text: str, title: str, masked: str, check: LeakCheck, numbers: dict[str, int]
) -> None:
    assert check.masked(text, numbers[title]) == masked


@pytest.mark.parametrize("name", ["movies", "games", "albums"])
def test_no_title_survives_the_mask(name: str, request: pytest.FixtureRequest) -> None:
    dataset: PreparedDataset = request.getfixturevalue(name)
    check, left, leaking = LeakCheck(dataset), [], 0
    titles = dataset.items["title"].to_list()
    for number in range(0, len(titles), 7):
        for text in (f"I've seen {titles[number]} and want more", f"any dramas like {titles[number].lower()}?"):
            masked = check.masked(text, number)
            assert not check.leaks(masked, number), titles[number]
            left.append(masked)
            leaking += check.leaks(text, number)
    assert leaking > 0.98 * len(left)  # a title such as "Please" is no name in small letters
    assert sum(bool(text) for text in left) > 0.9 * len(left)


def test_the_words_that_leak_are_found_just_where_a_sentence_leaks(movies: PreparedDataset) -> None:
    titles = movies.items["title"].to_list()
    plots = [plot or "" for plot in movies.items["plot"].to_list()]
    pairs = [(plots[i], titles[j]) for i in range(0, 3500, 9) for j in (i, (i * 7) % 3500)]
    found = [(leaks(text, title), bool(leaking_words(text, title))) for text, title in pairs]
    assert all(leak == word for leak, word in found)
    assert 50 < sum(leak for leak, _ in found) < len(found)
    assert [word for word, _, _ in tokens("Schindler's & Co")] == ["schindler", "and", "co"]


def test_requests_do_not_leak_and_those_that_never_did_are_as_they_were(
    movies: PreparedDataset, movie_talk: Talk
) -> None:
    requests, spoken = movie_talk
    check, targets = LeakCheck(movies), requests["target"].to_list()
    assert not any(check.leaks(text, item) for text, item in zip(requests["text"], targets, strict=True))

    class TitlesOnly(LeakCheck):
        def leaks(self, text: str, item: int) -> bool:
            return leaks(text, self._titles[item])

    user = AttributesUser(movies, seed=0)
    user.check = TitlesOnly(movies)
    before = user.speak(*(requests[name].to_numpy() for name in ("user", "cut", "target")))
    changed = [
        (old, item)
        for old, clean, new, item in zip(before.texts, before.said, spoken.texts, targets, strict=True)
        if old != new and not (check.leaks(old, item) or check.leaks(clean.text, item))
    ]
    assert changed == []
    assert 0 < sum(old != new for old, new in zip(before.texts, spoken.texts, strict=True)) < 0.1 * len(requests)


def test_a_catalogue_without_years_or_people_still_checks_titles(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["Abacus 2", None], "genre": ["Comedy", "Drama"]})
    folder = write_dataset(tmp_path / "movies", items, {"genre": "category"}, [[0, 1, 0]])
    check = LeakCheck(PreparedDataset(folder))
    assert check.leaks("an abacus", 0) and check.leaks("the second one", 0)
    assert not check.leaks("the second one from 1990", 1)


def test_a_short_name_is_what_one_says_in_passing() -> None:
    names = ["Matrix, The (1999)", "Doom 3 Resurrection of Evil - Xbox", "Star Wars: Episode IV - A New Hope", ""]
    assert [short_name(name) for name in names] == ["The Matrix", "Doom 3 Resurrection of Evil", "Star Wars", ""]
