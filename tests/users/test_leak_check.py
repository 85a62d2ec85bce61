"""Claims about the leak check over whole catalogues, and about what is left when telling words are taken out."""

from __future__ import annotations

import polars as pl
import pytest

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.attributes import Request
from latentcrs.users.leak import blanked, leaking_spans, leaks, short_name


@pytest.mark.parametrize(
    ("text", "title", "left"),
    [
        ("a matrix movie with Keanu Reeves", "The Matrix", "a ___ movie with Keanu Reeves"),
        ("I love 'The Matrix'. More sci-fi like that.", "The Matrix", "I love 'The ___'. More sci-fi like that."),
        ("Star Wars, I want star wars!", "Star Wars: Episode IV - A New Hope", "___ ___, I want ___ ___!"),
        ("from 1984 or so", "1984", "from ___ or so"),
        ("Psycho!", "Psycho", "___!"),
        ("I loved It when I was small, and it scared me", "It", "I loved ___ when I was small, and it scared me"),
    ],
)
def test_only_what_gives_the_title_away_is_blanked(text: str, title: str, left: str) -> None:
    assert blanked(text, title) == left
    assert not leaks(left, title)


@pytest.mark.parametrize("name", ["movies", "games", "albums"])
def test_every_title_of_a_catalogue_is_caught_and_nothing_of_it_survives(
    name: str, request: pytest.FixtureRequest
) -> None:
    dataset: PreparedDataset = request.getfixturevalue(name)
    titles = [title for title in dataset.items["title"].to_list()[::7] if title]
    texts = [text for title in titles for text in (f"I've seen {title} and want more", f"any like {title.lower()}?")]
    caught = [leaks(text, title) for text, title in zip(texts, [t for t in titles for _ in range(2)], strict=True)]
    assert sum(caught) > 0.98 * len(caught)  # a title such as "Please" is no name in small letters
    for text, title in zip(texts, [t for t in titles for _ in range(2)], strict=True):
        assert not leaks(blanked(text, title), title), title


def test_spans_are_found_in_order_and_apart(movies: PreparedDataset) -> None:
    titles = movies.items["title"].to_list()
    plots = [plot or "" for plot in movies.items["plot"].to_list()]
    found = [leaking_spans(plots[i], titles[j]) for i in range(0, 3500, 9) for j in (i, (i * 7) % 3500)]
    assert all(spans == sorted(spans) for spans in found)
    assert 50 < sum(bool(spans) for spans in found) < len(found)


def test_no_request_of_the_attributes_user_leaks(
    movies: PreparedDataset, movie_talk: tuple[pl.DataFrame, list[Request]]
) -> None:
    rows, requests = movie_talk
    titles = movies.items["title"].to_list()
    assert not any(leaks(one.text, titles[item]) for one, item in zip(requests, rows["target"], strict=True))
    assert 0 < sum(one.leaked for one in requests) < 0.1 * len(rows)  # it had something to catch


def test_a_short_name_is_what_one_says_in_passing() -> None:
    names = ["Matrix, The (1999)", "Doom 3 Resurrection of Evil - Xbox", "Star Wars: Episode IV - A New Hope", ""]
    assert [short_name(name) for name in names] == ["The Matrix", "Doom 3 Resurrection of Evil", "Star Wars", ""]
