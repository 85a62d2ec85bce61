"""Claims about hard rules: every operator on every kind of column, empty cells among them."""

from __future__ import annotations

import polars as pl
import pytest
from pydantic import ValidationError

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALLOWED, Rule, rules_expression

COLUMNS: dict[str, ColumnKind] = {
    "studio": "category",
    "genres": "multi-category",
    "price": "number",
    "year": "year",
    "plot": "text",
    "page": "link",
}
ITEMS = pl.DataFrame(
    {
        "title": ["Alpha", "Beta (a film)", "Gamma", "Delta", "Void"],
        "studio": ["Toei", "toei", "MGM (UK)", "Fox", None],
        "genres": [["Comedy", "Drama"], ["drama"], ["Film-Noir", None], [], None],
        "price": [1.5, 10.0, 20.0, 30.25, None],
        "year": [1989, 1990, 1999, 2000, None],
        "plot": ["A dog barks.", "Two DOGS bark", "A cat.", "", None],
        "page": ["http://a.example/1", "http://a.example/2", "http://b.example", None, None],
    },
    schema={
        "title": pl.String,
        "studio": pl.String,
        "genres": pl.List(pl.String),
        "price": pl.Float64,
        "year": pl.Int32,
        "plot": pl.String,
        "page": pl.String,
    },
)

CASES: list[tuple[str, str, object, list[int]]] = [
    ("studio", "is", "TOEI", [0, 1]),
    ("studio", "is", "toe", []),
    ("studio", "is", ["Toei", "fox"], [0, 1, 3]),
    ("studio", "has any", ["mgm (uk)", "nobody"], [2]),
    ("studio", "not", "toei", [2, 3, 4]),
    ("studio", "not", ["toei", "Fox"], [2, 4]),
    ("studio", "contains", "(uk", [2]),
    ("genres", "is", "Drama", [0, 1]),
    ("genres", "has any", ["comedy", "film-noir"], [0, 2]),
    ("genres", "has all", ["Drama", "comedy"], [0]),
    ("genres", "has all", ["drama"], [0, 1]),
    ("genres", "not", ["Drama"], [2, 3, 4]),
    ("genres", "not", ["drama", "film-noir"], [3, 4]),
    ("genres", "contains", "noir", [2]),
    ("price", "is", 10, [1]),
    ("price", "is", [1.5, 30.25], [0, 3]),
    ("price", "not", 10, [0, 2, 3, 4]),
    ("price", "<", 10, [0]),
    ("price", "<=", 10, [0, 1]),
    ("price", ">", 20, [3]),
    ("price", ">=", 20, [2, 3]),
    ("price", "between", [10, 20], [1, 2]),
    ("year", "is", 1990, [1]),
    ("year", "not", [1989, 2000], [1, 2, 4]),
    ("year", "<", 1990, [0]),
    ("year", "<=", 1990, [0, 1]),
    ("year", ">", 1999, [3]),
    ("year", ">=", 1999, [2, 3]),
    ("year", "between", [1990, 1999], [1, 2]),
    ("year", "between", [1999, 1990], [1, 2]),
    ("plot", "is", "a cat.", [2]),
    ("page", "is", "http://a.example/1", [0]),
    ("page", "not", "http://a.example/1", [1, 2, 3, 4]),
    ("plot", "contains", "dog", [0, 1]),
    ("plot", "contains", ["cat", "barks."], [0, 2]),
    ("plot", "not", "dog", [2, 3, 4]),
    ("title", "contains", "(A", [1]),
    ("title", "is", "gamma", [2]),
    ("title", "not", "a", [0, 2, 3, 4]),
    ("title", "contains", "films", [1]),
    ("title", "contains", "fil", []),
    ("title", "contains", "betas", [1]),
]


@pytest.mark.parametrize(("column", "op", "value", "passing"), CASES)
def test_a_rule_passes_exactly_the_items_it_is_true_of(
    column: str, op: str, value: object, passing: list[int]
) -> None:
    rule = Rule.model_validate({"column": column, "op": op, "value": value})
    mask = ITEMS.select(rule.expression(COLUMNS)).to_series()
    assert mask.dtype == pl.Boolean
    assert mask.null_count() == 0
    assert mask.arg_true().to_list() == passing


def test_every_operator_of_every_kind_is_among_the_cases() -> None:
    covered = {(COLUMNS.get(column, "text"), op) for column, op, _, _ in CASES}
    assert covered == {(kind, op) for kind, allowed in ALLOWED.items() for op in allowed}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_rule_and_its_negation_share_the_catalogue_between_them(column: str) -> None:
    value = 1990 if column in ("price", "year") else "toei"
    does = "contains" if column == "plot" else "is"
    masks = [
        ITEMS.select(Rule(column=column, op=op, value=value).expression(COLUMNS)).to_series() for op in (does, "not")
    ]
    assert (masks[0] ^ masks[1]).all()


def test_of_several_rules_all_must_hold() -> None:
    rules = [Rule(column="genres", op="is", value="drama"), Rule(column="year", op=">=", value=1990)]
    expression = rules_expression(rules, COLUMNS)
    assert expression is not None
    assert ITEMS.select(expression).to_series().arg_true().to_list() == [1]
    assert rules_expression([], COLUMNS) is None
    assert rules_expression(None, COLUMNS) is None


@pytest.mark.parametrize(
    ("column", "op", "value", "sentence"),
    [
        ("colour", "is", "red", r"'colour'.*title, text, studio, genres, price, year, plot"),
        ("year", "contains", 1990, r"'year' is a year column.*between"),
        ("studio", "<", "toei", r"'studio' is a category column"),
        ("plot", "has all", ["dog"], r"'plot' is a text column"),
        ("year", "is", "nineties", r"'year' wants numbers, not 'nineties'"),
        ("genres", "is", 7, r"'genres' wants words"),
        ("genres", "has any", [], r"'genres' wants words"),
        ("price", "between", [1], r"between wants two numbers"),
        ("price", "between", [1, 2, 3], r"between wants two numbers"),
        ("price", "<", [1, 2], r"'price'.*one number"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_what_would(
    column: str, op: str, value: object, sentence: str
) -> None:
    rule = Rule.model_validate({"column": column, "op": op, "value": value})
    with pytest.raises(UserError, match=sentence):
        rule.expression(COLUMNS)


def test_an_operator_that_there_is_not_is_no_rule() -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"column": "year", "op": "about", "value": 1990})
