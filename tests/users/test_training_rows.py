"""Claims about which rows are simulated."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from simulate_data import write_dataset

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.request_rows import request_rows


def test_rows_are_the_raw_one_the_cuts_and_the_two_held_out(tiny: PreparedDataset) -> None:
    rows = request_rows(tiny, seed=0, augmentations=5)
    held_out = rows.filter(pl.col("split") != "train").select("user", "cut", "split").rows()
    assert sorted(held_out) == [
        (0, 10, "valid"), (0, 11, "test"), (1, 2, "valid"), (1, 3, "test"), (2, 1, "valid"), (2, 2, "test"),
    ]  # fmt: skip
    train = rows.filter(pl.col("split") == "train")
    # User 0 trains on ten items (raw cut 9), user 1 on two (raw cut 1), user 2 on one: an empty history, kept.
    assert {(0, 9), (1, 1), (2, 0)} <= set(train.select("user", "cut").rows())
    assert set(train.filter(pl.col("user") != 0)["user"]) == {1, 2} and len(train.filter(pl.col("user") != 0)) == 2
    cuts = train.filter(pl.col("user") == 0)["cut"].to_list()
    assert len(cuts) == len(set(cuts)) and 2 <= len(cuts) <= 6 and min(cuts) >= 1 and max(cuts) == 9


def test_the_target_is_the_item_at_the_cut(tiny: PreparedDataset) -> None:
    rows = request_rows(tiny)
    expected = tiny.sequence[tiny.offsets[rows["user"].to_numpy()] + rows["cut"].to_numpy()]
    assert rows["target"].to_list() == expected.tolist()


def test_fewer_augmentations_are_the_first_of_more(movies: PreparedDataset) -> None:
    three, five = (
        set(request_rows(movies, seed=1, augmentations=n).select("user", "cut", "split").rows()) for n in (3, 5)
    )
    assert three < five


def test_movielens_has_a_row_for_every_user_and_split_and_cuts_for_long_histories(movies: PreparedDataset) -> None:
    rows = request_rows(movies)
    counts = dict(rows.group_by("split").agg(pl.len()).rows())
    assert counts["valid"] == counts["test"] == 6034
    per_user = (
        rows.filter(pl.col("split") == "train").group_by("user").agg(pl.len().alias("rows"), pl.col("cut").max())
    )
    length = movies.lengths - 2
    assert per_user["rows"].max() == 6
    assert (per_user.sort("user")["cut"].to_numpy() == length - 1).all()
    assert (per_user.sort("user")["rows"].to_numpy()[length < 8] == 1).all()


@pytest.mark.parametrize("length", [1, 2])
def test_a_user_with_too_few_interactions_has_no_training_row(tmp_path: Path, length: int) -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "sort": ["x", "y"]})
    folder = write_dataset(tmp_path / "short", items, {"sort": "category"}, [list(range(length))])
    splits = request_rows(PreparedDataset(folder))["split"].to_list()
    assert splits == (["test"] if length == 1 else ["valid", "test"])
