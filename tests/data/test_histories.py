"""Claims about many histories in one flat array, and about the histories behind requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.dataset import REQUESTS_SCHEMA, DatasetInfo, write_manifest
from latentcrs.data.histories import PAD

LISTS = st.lists(st.lists(st.integers(0, 20), max_size=7), max_size=6)


def as_lists(histories: Histories) -> list[list[int]]:
    spans = zip(histories.offsets, histories.lengths, strict=True)
    return [histories.items[offset : offset + length].tolist() for offset, length in spans]


@settings(deadline=None)
@given(LISTS)
def test_lists_come_back_as_they_went_in(lists: list[list[int]]) -> None:
    histories = Histories.from_lists(lists)
    assert len(histories) == len(lists)
    assert as_lists(histories) == lists


@settings(deadline=None)
@given(LISTS, st.integers(1, 9))
def test_last_is_the_newest_items_padded_on_the_left(lists: list[list[int]], length: int) -> None:
    expected = [[PAD] * (length - len(history[-length:])) + history[-length:] for history in lists]
    found = Histories.from_lists(lists).last(length)
    assert found.shape == (len(lists), length)
    assert found.tolist() == expected


@settings(deadline=None)
@given(LISTS, st.integers(1, 9))
def test_newest_cuts_each_history_to_its_newest_items(lists: list[list[int]], length: int) -> None:
    assert as_lists(Histories.from_lists(lists).newest(length)) == [history[-length:] for history in lists]


@settings(deadline=None)
@given(LISTS)
def test_pairs_name_every_row_and_item(lists: list[list[int]]) -> None:
    rows, items = Histories.from_lists(lists).pairs()
    expected = [(row, item) for row, history in enumerate(lists) for item in history]
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == expected


def test_pairs_of_a_cut_or_picked_part_are_those_of_the_part() -> None:
    histories = Histories.from_lists([[1, 2, 3], [], [4, 5]])
    rows, items = histories[np.array([2, 0])].newest(1).pairs()
    assert (rows.tolist(), items.tolist()) == ([0, 1], [5, 3])


def small_dataset(folder: Path) -> PreparedDataset:
    """Two users who did 10, 11, 12, 13 and 20, 21, 22."""
    log = [(0, 10), (0, 11), (0, 12), (0, 13), (1, 20), (1, 21), (1, 22)]
    pl.DataFrame(log, schema={"user": pl.Int32, "item": pl.Int32}, orient="row").write_parquet(
        folder / "interactions.parquet"
    )
    info = DatasetInfo(
        name="two", source="a test", terms="none", command="", threshold=None, core=1,
        users=2, items=30, interactions=len(log), columns={},
    )  # fmt: skip
    write_manifest(folder, info)
    return PreparedDataset(folder)


def requests_of(rows: list[tuple[int | None, int | None, list[int] | None]]) -> pl.DataFrame:
    whole = [(*row, 0, "test", "anything", "imported") for row in rows]
    return pl.DataFrame(whole, schema=REQUESTS_SCHEMA, orient="row")


def test_requests_of_users_and_visitors_in_any_order_have_their_own_histories(tmp_path: Path) -> None:
    requests = requests_of(
        [(None, None, [7, 8]), (1, 2, None), (None, None, []), (0, 0, None), (None, None, [9]), (0, 4, None)]
    )
    found = as_lists(small_dataset(tmp_path).request_histories(requests))
    assert found == [[7, 8], [20, 21], [], [], [9], [10, 11, 12, 13]]


def test_requests_of_visitors_without_any_history_have_empty_ones(tmp_path: Path) -> None:
    dataset = small_dataset(tmp_path)
    histories = dataset.request_histories(requests_of([(None, None, []), (None, None, [])]))
    assert as_lists(histories) == [[], []]
    assert histories.last(2).tolist() == [[PAD, PAD], [PAD, PAD]]


def test_no_requests_have_no_histories(tmp_path: Path) -> None:
    assert len(small_dataset(tmp_path).request_histories(requests_of([]))) == 0


def test_training_counts_leave_out_each_users_last_two_items(tmp_path: Path) -> None:
    counts = small_dataset(tmp_path).training_counts
    assert np.flatnonzero(counts).tolist() == [10, 11, 20]
    assert counts.sum() == 3
