"""Claims about how catalogue columns are typed and cleaned."""

from __future__ import annotations

import polars as pl
import pytest

from latentcrs.base.errors import UserError
from latentcrs.data.columns import type_columns
from latentcrs.data.titles import split_title


def catalogue(**columns: object) -> pl.DataFrame:
    """A catalogue of as many items as the columns have values."""
    frame = pl.DataFrame(columns, strict=False)
    ids = pl.Series("item_id", [f"i{row}" for row in range(len(frame))])
    return pl.DataFrame([ids, pl.Series("title", [f"Title {row}" for row in range(len(frame))]), *frame])


@pytest.mark.parametrize(
    ("name", "values", "kind", "first"),
    [
        ("genres", ["Rock|Pop", "Jazz", "Rock", "Pop|Jazz"] * 5, "multi-category", ["Rock", "Pop"]),
        ("genres", ["Rock, Pop", "Jazz", "Rock", "Pop, Jazz"] * 5, "multi-category", ["Rock", "Pop"]),
        ("tags", [["a", " b "], ["a"], [], None], "multi-category", ["a", "b"]),
        ("price", ["$12.99", "1,299.00 €", "$5", None], "number", 12.99),
        ("pages", [312, 90, 1200], "number", 312.0),
        ("year", [1995, 2004, None], "year", 1995),
        ("released", ["22 Nov 1995", "5 Mar 2001"], "year", 1995),
        ("released", ["1995-11-22", "2001-03-05"], "year", 1995),
        ("publisher", ["Nintendo", "Sega", "Nintendo", "Sega", "Sega"], "category", "Nintendo"),
        (
            "plot",
            ["A boy finds a map.", "Two friends, one road, no money.", "It rains."],
            "text",
            "A boy finds a map.",
        ),
        ("handheld", [True, False, True], "category", "yes"),
    ],
)
def test_the_kind_of_a_column_follows_from_its_values(name: str, values: list, kind: str, first: object) -> None:
    typed = type_columns(catalogue(**{name: values}))
    assert typed.kinds == {name: kind}
    found = typed.items[name][0]
    assert (found.to_list() if isinstance(found, pl.Series) else found) == first


def test_short_sentences_with_commas_are_not_taken_for_lists() -> None:
    plots = [f"A story about {row}, told by {row + 1}, and others" for row in range(50)]
    assert type_columns(catalogue(plot=plots)).kinds == {"plot": "text"}


def test_a_kind_that_the_user_gives_wins_over_inspection() -> None:
    frame = catalogue(edition=[1999, 2000, 2001], note=["x", "x", "y"], size=["S,M", "M", "L"])
    typed = type_columns(frame, {"edition": "number", "note": "skip", "size": "multi-category"})
    assert typed.kinds == {"edition": "number", "size": "multi-category"}
    assert typed.items["size"].to_list() == [["S", "M"], ["M"], ["L"]]
    assert "note" not in typed.items.columns and "note" in typed.left_out


def test_values_that_say_nothing_become_null_and_markup_is_taken_out() -> None:
    typed = type_columns(
        catalogue(
            brand=["Rough &amp; Ready", " Sega  Inc ", "N/A", "Sega Inc", "", "Sega Inc"],
            blurb=["<p>Fast &lt;3 cars</p>", "a<br/>b", "unknown", "c", None, "d"],
        )
    )
    assert typed.items["brand"].to_list() == ["Rough & Ready", "Sega Inc", None, "Sega Inc", None, "Sega Inc"]
    assert typed.items["blurb"].to_list()[:3] == ["Fast <3 cars", "a b", None]


def test_columns_without_content_are_left_out_with_a_reason() -> None:
    assert type_columns(catalogue(nothing=[None, ""])).left_out == {"nothing": "empty"}


def test_addresses_are_links_which_no_text_has() -> None:
    bad = "ftp://a.org/x"
    typed = type_columns(catalogue(image=[f"https://a.org/{n}.jpg" for n in range(39)] + [bad]))
    assert typed.kinds == {"image": "link"} and typed.unreadable == {"image": 1}
    assert typed.items["image"].to_list()[:1] == ["https://a.org/0.jpg"]


def test_values_that_are_none_of_their_kind_are_counted() -> None:
    typed = type_columns(catalogue(price=["$1.50"] * 39 + ["from 3 dollars"]))
    assert typed.kinds == {"price": "number"} and typed.unreadable == {"price": 1}


def test_a_wrong_kind_or_column_is_named() -> None:
    with pytest.raises(UserError, match=r"'colour'.*multi-category"):
        type_columns(catalogue(a=["x"]), {"a": "colour"})
    with pytest.raises(UserError, match="no column 'b'"):
        type_columns(catalogue(a=["x"]), {"b": "text"})


@pytest.mark.parametrize(
    ("written", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("American President, The (1995)", "The American President", 1995),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
            1995,
        ),
        ("Eye of Vichy, The (Oeil de Vichy, L') (1993)", "The Eye of Vichy (L'Oeil de Vichy)", 1993),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly", 1966),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (a.k.a. Se7en)", 1995),
        ("Happy, Texas (1999)", "Happy, Texas", 1999),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Planet Earth (2006– )", "Planet Earth", 2006),
        ("1984", "1984", None),
    ],
)
def test_movielens_titles_become_what_people_say(written: str, title: str, year: int | None) -> None:
    row = pl.DataFrame({"raw": [written]}).select(split_title("raw")).row(0)
    assert row == (title, year)


def test_what_was_encoded_twice_is_read_as_it_was_meant_and_said() -> None:
    titles = ["AmÃ©lie", "Dâ€™Artagnan", "Ângela", "ÂNGELA", "Élan vital", None]
    typed = type_columns(
        catalogue(place=["MÃ¼nchen", "Köln", "Ãœlzen", "München", "x", "x"]).with_columns(title=pl.Series(titles))
    )
    assert typed.items["title"].to_list() == ["Amélie", "D’Artagnan", "Ângela", "ÂNGELA", "Élan vital", None]
    assert typed.items["place"].to_list()[:4] == ["München", "Köln", "Ülzen", "München"]
    assert "column title: 2 values were encoded twice, and are read as meant ('Amélie')" in typed.notes
    assert any(note.startswith("column place: 2 values were encoded twice") for note in typed.notes)
