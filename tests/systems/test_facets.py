"""Claims about facets: which there are, who has them, and what sentences say of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.data import PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.hear import Heard, HeardRule
from latentcrs.systems.facets import Facets
from latentcrs.systems.hearing import FacetHearing


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def facets(dataset: PreparedDataset) -> Facets:
    return Facets.of(dataset)


def number(facets: Facets, column: str, value: str) -> int:
    found = [f for f, pair in enumerate(zip(facets.columns, facets.values, strict=True)) if pair == (column, value)]
    assert len(found) == 1
    return found[0]


def named(facets: Facets, numbers: list[int]) -> set[str]:
    return {facets.values[facet] for facet in numbers}


def test_every_item_has_the_genres_and_the_decade_that_the_catalogue_says(
    dataset: PreparedDataset, facets: Facets
) -> None:
    comedies = dataset.items["genres"].list.contains("Comedy").fill_null(False).to_numpy()
    assert 0 < comedies.sum() < len(comedies)
    assert (facets.has[:, number(facets, "genres", "Comedy")] == comedies).all()
    nineties = dataset.items["year"].is_between(1990, 1999).fill_null(False).to_numpy()
    assert (facets.has[:, number(facets, "year", "1990s")] == nineties).all()


def test_a_facet_belongs_to_several_items_and_is_known_where_its_column_is_filled(
    dataset: PreparedDataset, facets: Facets
) -> None:
    assert facets.has.sum(0).min() >= 2
    assert (facets.known | ~facets.has).all()
    for column, group in facets.groups.items():
        filled = dataset.items[column].is_not_null().to_numpy()
        if isinstance(dataset.items[column].dtype, pl.List):
            filled &= (dataset.items[column].list.drop_nulls().list.len() > 0).fill_null(False).to_numpy()
        assert (facets.known[:, group] == filled[:, None]).all(), column


def heard_of(facets: Facets, *rules: Rule) -> tuple[set[str], set[str]]:
    yes, no = facets.heard(Heard(rules=tuple(HeardRule(rule=rule) for rule in rules)))
    return named(facets, yes), named(facets, no)


@pytest.mark.parametrize(
    ("rule", "wanted", "unwanted"),
    [
        (Rule(column="genres", op="has any", value=["comedy"]), {"Comedy"}, set()),
        (Rule(column="genres", op="has all", value=["Comedy", "Drama"]), {"Comedy", "Drama"}, set()),
        (Rule(column="genres", op="has any", value=["Comedy", "Drama"]), set(), set()),
        (Rule(column="genres", op="not", value=["Horror", "War"]), set(), {"Horror", "War"}),
        (Rule(column="year", op="is", value=1994), {"1990s"}, set()),
        (Rule(column="year", op="between", value=[1991, 1998]), {"1990s"}, set()),
        (Rule(column="genres", op="has any", value=["No such genre"]), set(), set()),
    ],
)
def test_a_rule_says_what_facets_can_say(facets: Facets, rule: Rule, wanted: set[str], unwanted: set[str]) -> None:
    assert heard_of(facets, rule) == (wanted, unwanted)


def test_a_span_of_years_rules_out_the_decades_beside_it(facets: Facets) -> None:
    wanted, unwanted = heard_of(facets, Rule(column="year", op="<", value=1990))
    assert not wanted and "1990s" in unwanted and "1980s" not in unwanted
    wanted, unwanted = heard_of(facets, Rule(column="year", op="between", value=[1985, 1995]))
    assert not wanted and not {"1980s", "1990s"} & unwanted and "1970s" in unwanted


def test_requests_are_heard_as_their_targets_are_and_once(
    dataset: PreparedDataset, facets: Facets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    requests = dataset.requests.filter(pl.col("split") == "valid").head(120)
    hearing = FacetHearing(dataset, facets)
    accepted, rejected = hearing.of_requests(requests)
    true = facets.has[requests["target"].to_numpy()]
    assert accepted.sum() > len(requests) / 2
    assert (accepted & true).sum() > 0.97 * accepted.sum() and (rejected & true).sum() <= 0.03 * rejected.sum()
    monkeypatch.setattr(hearing, "_extractor", None)  # hearing anything now would fail
    again = hearing.of_requests(requests)
    assert (again[0] == accepted).all() and (again[1] == rejected).all()
    assert (FacetHearing(dataset, facets).heard(requests["text"].to_list()[:20])[0] == accepted[:20]).all()


def test_a_catalogue_without_categories_has_no_facets(dataset: PreparedDataset) -> None:
    class Bare:
        items = dataset.items

        info = dataset.info.model_copy(update={"columns": {"plot": "text"}})

    facets = Facets.of(Bare())  # type: ignore[arg-type]
    assert len(facets) == 0 and facets.has.shape == (len(dataset.items), 0)
    assert np.array_equal(facets.weights.sum(1), np.zeros(len(dataset.items)))
