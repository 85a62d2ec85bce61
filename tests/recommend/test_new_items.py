"""Claims about items that join the catalogue after training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.recommend import Recommender, load

NEW = pl.DataFrame(
    {
        "item_id": ["n1", "n2"],
        "title": ["Robots of the Deep", "Lonely Hearts Diner"],
        "year": [1999, 2000],
        "genres": ["Sci-Fi|Action", "Romance|Comedy"],
        "plot": ["A submarine crew finds ancient robots on the sea floor.", "A waitress and a trucker fall in love."],
    }
)


@pytest.fixture
def grown(bundle: Path) -> Recommender:
    recommender = load(bundle)
    assert recommender.add_items(NEW) == 2
    return recommender


def test_a_new_item_is_found_by_what_its_text_says(grown: Recommender) -> None:
    asked = "a film about a submarine crew and robots on the sea floor"
    ranked = [item.item_id for item in grown.recommend([], asked, k=len(grown.bundle.items))]
    assert ranked.index("n1") < len(ranked) / 10
    assert ranked.index("n1") < ranked.index("n2")


def test_a_new_item_passes_rules_like_any_other(grown: Recommender) -> None:
    rules = [
        Rule(column="genres", op="has all", value=["Sci-Fi", "Action"]),
        Rule(column="year", op="is", value=1999),
    ]
    found = grown.recommend([], "robots", k=50, where=rules)
    assert "n1" in [item.item_id for item in found]
    assert "n2" not in [item.item_id for item in found]


def test_a_new_item_may_stand_in_a_history(grown: Recommender) -> None:
    known = str(grown.bundle.items["item_id"][0])
    with_new = grown.recommend(["n1", known], "a comedy", k=5)
    assert "n1" not in [item.item_id for item in with_new]
    assert [item.item_id for item in with_new] == [item.item_id for item in grown.recommend([known], "a comedy", k=5)]


def test_old_items_keep_their_scores(grown: Recommender, bundle: Path) -> None:
    before = {item.item_id: item.score for item in load(bundle).recommend([], "a comedy from the 90s", k=50)}
    after = {item.item_id: item.score for item in grown.recommend([], "a comedy from the 90s", k=52)}
    assert {item: after[item] for item in before if item in after} == pytest.approx(
        {item: before[item] for item in before if item in after}, rel=1e-5
    )


def test_the_lists_of_a_large_catalogue_are_made_again_with_the_new_items(
    bundle: Path, grown: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for border, numbers in (("HALF_FROM", 1), ("LISTS_FROM", 1), ("GATHERED", 0)):
        monkeypatch.setattr(f"latentcrs.recommend.index.{border}", numbers)
    large = load(bundle, text_encoder=grown.text_encoder)
    assert large.add_items(NEW.head(1)) == 1 and large.add_items(NEW.tail(1)) == 1
    n = len(large.bundle.items)
    new = large.item_numbers(["n1", "n2"])
    # With words and without: two indexes, each with a query of its own.
    for request in ("a film about a submarine crew and robots on the sea floor", ""):
        query = large.read(new[:0], request, large.embed(request))
        index = query.index
        assert index.kind == "lists" and index.lists is not None
        lists = index.lists
        assert np.sort(lists.items).tolist() == list(range(n))
        own = large.bundle.generative.items() if request else large.bundle.generative.V
        vectors = own.detach().cpu().numpy()
        assert np.allclose(index.rows(new)[:, : vectors.shape[1]], vectors[new], rtol=0.01, atol=0.01)
        for item, other in (new, new[::-1]):
            found, scores = index.top(vectors[item], 20, np.arange(n) != other)
            expected = vectors @ vectors[item]
            expected[other] = -np.inf
            assert len(np.intersect1d(found, np.argsort(-expected)[:20])) >= 18 and other not in found
            assert scores == pytest.approx(expected[found], rel=0.01, abs=0.02)
            assert item in found or (expected > expected[item]).sum() > 15
        ours, theirs = (one.recommend([], request, 20) for one in (large, grown))
        assert len({a.item_id for a in ours} & {b.item_id for b in theirs}) >= 18


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (pl.DataFrame({"title": ["x"]}), "need a column 'item_id'"),
        (pl.DataFrame({"item_id": ["x"]}), "need a column 'title'"),
        (pl.DataFrame({"item_id": ["x"], "title": ["x"], "colour": ["red"]}), "no column 'colour'"),
        (pl.DataFrame({"item_id": ["x", "x"], "title": ["x", "y"]}), "already has an item with the id 'x'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_one_sentence(bundle: Path, rows: pl.DataFrame, sentence: str) -> None:
    recommender = load(bundle)
    with pytest.raises(UserError, match=sentence):
        recommender.add_items(rows)


def test_an_id_that_is_known_is_refused(bundle: Path) -> None:
    recommender = load(bundle)
    known = str(recommender.bundle.items["item_id"][0])
    with pytest.raises(UserError, match="already has"):
        recommender.add_items(pl.DataFrame({"item_id": [known], "title": ["x"]}))
