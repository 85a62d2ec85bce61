"""The facets that CRM keeps a belief about: a catalogue's columns and their values, kept sparse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.conditions import Condition


@dataclass(frozen=True)
class Values:
    """F values of C columns: value f is `names[f]` of `columns[column_of[f]]`; a column's values stand together.

    has (n, F) sparse: 1 where an item has a value.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    column_of: NDArray[np.int64]
    has: sparse.csr_matrix

    @classmethod
    def of(cls, dataset: PreparedDataset, least: int = 1) -> Values:
        """The values that at least `least` items have, of every column of categories, and every single year."""
        columns: list[str] = []
        names: list[str] = []
        column_of: list[int] = []
        items, places = [], []
        for column, kind in dataset.info.columns.items():
            if kind not in ("category", "multi-category", "year"):
                continue
            pairs = _pairs(dataset.items[column])
            counted = pairs.group_by("value").len().filter(pl.col("len") >= least).sort("value")
            if not len(counted):
                continue
            pairs = pairs.join(counted.with_row_index("place"), on="value")
            items.append(pairs["item"].to_numpy())
            places.append(pairs["place"].to_numpy().astype(np.int64) + len(names))
            column_of += [len(columns)] * len(counted)
            columns.append(column)
            names += counted["value"].to_list()
        at = (np.concatenate([*items, np.zeros(0, np.int64)]), np.concatenate([*places, np.zeros(0, np.int64)]))
        ones = np.ones(len(at[0]), np.float32)
        has = sparse.csr_matrix((ones, at), shape=(len(dataset.items), len(names)))
        return cls(tuple(columns), tuple(names), np.array(column_of, np.int64), has)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def blocks(self) -> list[slice]:
        """Where each column's values stand."""
        ends = np.searchsorted(self.column_of, np.arange(len(self.columns) + 1))
        return [slice(int(start), int(end)) for start, end in pairwise(ends)]

    @cached_property
    def support(self) -> NDArray[np.float32]:
        """How many items have each value, (F,)."""
        return np.asarray(self.has.sum(0), np.float32)[0]

    def wished(self, conditions: Sequence[Condition]) -> sparse.csr_matrix:
        """What each condition says of its column, (conditions, F): how likely each value is, rows adding up to 1. A
        range of years is spread over the items in it; a row is empty where no value is meant (words of a plot).
        """
        meant = [self._meant(condition) for condition in conditions]
        counts = [len(values) for values, _ in meant]
        values = np.concatenate([np.zeros(0, np.int64), *(values for values, _ in meant)])
        weights = np.concatenate([np.zeros(0, np.float32), *(weights for _, weights in meant)])
        rows = np.repeat(np.arange(len(conditions)), counts)
        return sparse.csr_matrix((weights, (rows, values)), (len(conditions), len(self)))

    def _meant(self, condition: Condition) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The values that a condition may mean, and how likely."""
        value = self._index.get((condition.column, condition.value))
        if value is not None:
            return np.array([value]), np.ones(1, np.float32)
        if condition.operator in ("has", "says") or condition.column not in self.columns:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        block = self.blocks[self.columns.index(condition.column)]
        inside = [
            f for f in range(block.start, block.stop) if condition.holds({condition.column: int(self.names[f])})
        ]
        share = self.support[inside]
        return np.array(inside, np.int64), share / max(share.sum(), 1)

    @cached_property
    def _index(self) -> dict[tuple[str, str], int]:
        return {
            (self.columns[c], name): f for f, (c, name) in enumerate(zip(self.column_of, self.names, strict=True))
        }


def shared_out(weights: sparse.csr_matrix, values: Values) -> sparse.csr_matrix:
    """Rows of weights (B, F) as beliefs: the values of each column add up to 1, or to 0 where there are none."""
    found = sparse.csr_matrix(weights, dtype=np.float32)
    found.sum_duplicates()
    columns = len(values.columns)
    cells = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr)) * columns + values.column_of[found.indices]
    totals = np.bincount(cells, found.data, minlength=found.shape[0] * columns)
    found.data = (found.data / totals[cells]).astype(np.float32)
    return found


def _pairs(values: pl.Series) -> pl.DataFrame:
    """Each (item, value) of a column."""
    table = pl.DataFrame({"item": np.arange(len(values)), "value": values})
    if isinstance(values.dtype, pl.List):
        table = table.explode("value")
    return table.drop_nulls("value").with_columns(pl.col("value").cast(pl.String)).unique(maintain_order=True)
