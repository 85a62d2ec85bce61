"""Claims about the title-leak check, by hand."""

from __future__ import annotations

import pytest

from latentcrs.users.leak import leaks


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("something like the matrix please", "The Matrix"),
        ("a movie about a matrix", "Matrix, The"),
        ("MATRIX!", "Matrix, The (1999)"),
        ("I want Seven", "Seven (a.k.a. Se7en)"),
        ("got se7en?", "Seven (a.k.a. Se7en)"),
        ("a film about star wars", "Star Wars: Episode IV - A New Hope"),
        ("it gives me new hope", "Star Wars: Episode IV - A New Hope"),
        ("two stars in one film", "Star Wars: Episode IV - A New Hope"),
        ("a big film", "Big"),
        ("I would like to see It again", "It"),
        ('the one called "it"', "It"),
        ("amelie or so", "Amélie"),
        ("le fabuleux destin", "Amélie (Le Fabuleux Destin d'Amélie Poulain)"),
        ("la cite des enfants perdus", "The City of Lost Children (Cité des enfants perdus, La)"),
        ("with children in it", "The City of Lost Children (Cité des enfants perdus, La)"),
        ("schindlers list", "Schindler's List"),
        ("something with Schindler", "Schindler's List"),
        ("from 1984", "1984"),
        ("a space odyssey", "2001: A Space Odyssey"),
        ("2001, you know", "2001: A Space Odyssey"),
        ("rock and roll forever", "Rock & Roll"),
        ("a spiderman game", "Spider-Man"),
        ("a pokemon game", "Pok&eacute;mon Red"),
        ("the thing", "The Thing"),
        ("have you got The One?", "One, The"),
        ("something with John Malkovich in it", "Being John Malkovich"),
        ("a wii sports game", "Wii Sports"),
        ("the blair witch project", "Blair Witch Project, The (1999)"),
        ("wizard movies", "The Wizard of Oz"),
        ("Something Blötschi", "Blotschi"),
    ],
)
def test_a_sentence_that_says_the_title_leaks(text: str, title: str) -> None:
    assert leaks(text, title)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("a sci-fi film from 1999 with Keanu Reeves", "The Matrix"),
        ("a sci-fi film from 1999", "The Matrix (1999)"),
        ("a crime thriller with Brad Pitt in it", "Seven (a.k.a. Se7en)"),
        ("a space adventure from the seventies", "Star Wars: Episode IV - A New Hope"),
        ("a comedy with Tom Hanks in it, something small", "Big"),
        ("something scary with a clown in it. It should be from 1990.", "It"),
        ("a strategy game for my PlayStation 2", "Nightshade - PlayStation 2"),
        ("an action film from 1977", "1984"),
        ("a game from 2005", "FIFA 2005"),
        ("a theatre film", "Heat"),
        ("anything at all", None),
        ("anything at all", ""),
        ("the one that I like", "The Matrix"),
    ],
)
def test_a_sentence_that_only_describes_does_not(text: str, title: str | None) -> None:
    assert not leaks(text, title)


def test_case_diacritics_and_punctuation_do_not_hide_a_title() -> None:
    for text in ("Léon", "LEON", "leon!", "l'leon, léon"):
        assert leaks(text, "Léon: The Professional")
