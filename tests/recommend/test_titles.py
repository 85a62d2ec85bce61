"""Titles are found as people type them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from latentcrs.recommend.titles import TitleFinder

FILMS = {
    "Matrix, The": 1999, "The Lion King": 1994, "Toy Story": 1995, "Toy Story 2": 1999, "Alien": 1979, "Aliens": 1986,
    "Alien: Resurrection": 1997, "The Godfather: Part II": 1974, "The Godfather": 1972, "Romeo & Juliet": 1968,
    "Big": 1988, "It": 1990, "Heat": 1995, "Les Misérables": 1998, "The Silence of the Lambs": 1991, "Psycho": 1960,
    "Psycho ": 1998, "Star Wars: Episode IV - A New Hope": 1977,
    "Star Wars: Episode V - The Empire Strikes Back": 1980, "Seven (Se7en)": 1995, "Fargo": 1996,
    "Drama": 2000, "Scary Movie": 2000,
}  # fmt: skip


@pytest.fixture(scope="module")
def finder() -> TitleFinder:
    titles = list(FILMS)
    return TitleFinder(titles, [FILMS[title] for title in titles], [1.0] * len(titles))


def found(finder: TitleFinder, text: str) -> list[str]:
    return [list(FILMS)[mention.numbers[0]].strip() for mention in finder.find(text)]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("i loved the matrix", ["Matrix, The"]),
        ("something like Matrix, The (1999)", ["Matrix, The"]),
        ("have you seen lion king", ["The Lion King"]),
        ("i watched toy story two and the lion king", ["Toy Story 2", "The Lion King"]),
        ("the second toy story was great", ["Toy Story 2"]),
        ("the first Alien was great", ["Alien"]),
        ("I liked godfather 2", ["The Godfather: Part II"]),
        ("romeo and juliet", ["Romeo & Juliet"]),
        ("les miserables", ["Les Misérables"]),
        ("have you seen silense of the lambs?", ["The Silence of the Lambs"]),
        ("I loved Se7en and Fargo", ["Seven (Se7en)", "Fargo"]),
    ],
)
def test_a_title_is_found_as_people_type_it(finder: TitleFinder, text: str, titles: list[str]) -> None:
    assert found(finder, text) == titles


def test_the_year_in_the_text_decides_between_films_of_one_name(finder: TitleFinder) -> None:
    titles = list(FILMS)
    for year in (1960, 1998):
        (mention,) = finder.find(f"I watched Psycho ({year}) last week")
        assert FILMS[titles[mention.numbers[0]]] == year
        assert len(mention.numbers) == 2


@pytest.mark.parametrize("text", ["it was good", "i want something big", "turn up the heat", "I love drama",
                                  "any scary movies?", "a matrix of numbers"])  # fmt: skip
def test_a_common_word_is_no_title_by_itself(finder: TitleFinder, text: str) -> None:
    assert found(finder, text) == []


@pytest.mark.parametrize(
    ("text", "title"),
    [("I saw Big (1988)", "Big"), ('have you seen "It" already', "It"), ("I loved The Lion King and Heat", "Heat")],
)
def test_a_common_word_is_a_title_where_a_year_quotes_or_other_titles_say_so(
    finder: TitleFinder, text: str, title: str
) -> None:
    assert title in found(finder, text)


def test_a_mention_covers_the_characters_of_the_title(finder: TitleFinder) -> None:
    text = "so, did you like the lion king at all?"
    (mention,) = finder.find(text)
    assert text[mention.start : mention.end] == "the lion king"
    assert 0 < mention.certainty <= 1


@pytest.mark.parametrize("text", ["", "   ", "!!!", "\ud800", "&&&", "(1999)", "İ" * 50])
def test_text_that_is_no_sentence_has_no_titles(finder: TitleFinder, text: str) -> None:
    assert finder.find(text) == []


def test_an_empty_catalogue_has_no_titles() -> None:
    assert TitleFinder([], [], []).find("I loved The Matrix") == []


def test_titles_in_real_conversations_are_found(shared_data: Callable[..., Path]) -> None:
    """ReDial's annotated films, typed in lower case for half of the messages and without a year."""
    lines = (shared_data("redial-valid") / "dialogues.jsonl").read_text("utf-8").splitlines()
    dialogues = [json.loads(line) for line in lines]
    names = {id: title for dialogue in dialogues for id, title in dialogue["movieMentions"].items() if title}
    ids = sorted(names)
    dated = [re.fullmatch(r"(.*?)\s*(?:\((\d{4})\))?\s*", names[id]) for id in ids]
    titles = [match[1] for match in dated if match]
    years = [int(match[2]) if match and match[2] else None for match in dated]
    finder = TitleFinder(titles, years, [1.0] * len(ids))
    chance = random.Random(0)
    right = said = heard = 0
    for dialogue in dialogues[:300]:
        for message in dialogue["messages"]:
            wanted = [ids.index(id) for id in re.findall(r"@(\d+)", message["text"]) if id in names]
            text = re.sub(r"@(\d+)", lambda m: titles[ids.index(m[1])] if m[1] in names else m[0], message["text"])
            mentions = finder.find(text.lower() if chance.random() < 0.5 else text)
            said, heard = said + len(wanted), heard + len(mentions)
            right += sum(any(number in mention.numbers for mention in mentions) for number in wanted)
    assert said > 500
    assert right / said > 0.85
    assert right / heard > 0.85


@pytest.mark.parametrize("said", ["something like ET", "we loved ET", "more like MASH please", "that gattaca film"])
def test_initials_are_one_word_and_a_film_that_is_pointed_at_by_its_name_is_meant(said: str) -> None:
    titles = ["E.T. the Extra-Terrestrial", "M*A*S*H", "Gattaca", "Etcetera", "Mashed"]
    found = TitleFinder(titles, [1982, 1970, 1997, 2000, 2001], [3.0, 3.0, 3.0, 1.0, 1.0]).find(said)
    assert [one.numbers[0] for one in found] == [
        {"ET": 0, "MASH": 1, "gattaca": 2}[said[found[0].start : found[0].end]]
    ]
