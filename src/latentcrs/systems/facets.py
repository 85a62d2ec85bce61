"""Facets: the attributes of a catalogue that can be asked about with yes and no (a genre, a decade, an actor)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.hear import Heard
from latentcrs.users.dialogue import Question

LEAST = 2
"""Items that have a facet: one that a single item has is that item's name."""


@dataclass(frozen=True)
class Facets:
    """F facets of n items: facet f is "`columns[f]` is (lists, lies in the decade) `values[f]`".

    has (n, F): which item has which. known (n, F): whether the catalogue says anything of the item in that column.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...]
    has: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, dataset: PreparedDataset, least: int = LEAST) -> Facets:
        """The facets of at least `least` items, by column of categories and years, most common first within one."""
        n = len(dataset.items)
        columns, values, parts, known = [], [], [], []
        for column, kind in dataset.info.columns.items():
            if kind not in ("category", "multi-category", "year"):
                continue
            pairs = _pairs(dataset.items[column], year=kind == "year")
            counted = pairs["value"].value_counts(sort=True).sort("count", "value", descending=[True, False])
            kept = counted.filter(pl.col("count") >= least)["value"]
            places = pairs.join(pl.DataFrame({"value": kept}).with_row_index("facet"), on="value")
            part = np.zeros((n, len(kept)), bool)
            part[places["item"].to_numpy(), places["facet"].to_numpy()] = True
            said = np.zeros((n, 1), bool)
            said[pairs["item"].to_numpy()] = True
            columns += [column] * len(kept)
            values += kept.to_list()
            parts.append(part)
            known.append(np.broadcast_to(said, part.shape))
        nothing = np.zeros((n, 0), bool)
        has = np.concatenate([nothing, *parts], 1)
        return cls(tuple(columns), tuple(values), has, np.concatenate([nothing, *known], 1))

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """`has` as numbers (n, F), to be multiplied with."""
        return self.has.astype(np.float32)

    @cached_property
    def groups(self) -> dict[str, NDArray[np.int64]]:
        """The facets of each column."""
        names = np.array(self.columns)
        return {column: np.flatnonzero(names == column) for column in dict.fromkeys(self.columns)}

    def question(self, facet: int) -> Question:
        """Does your item have this facet?"""
        return Question(self.columns[facet], self.values[facet])

    def heard(self, heard: Heard) -> tuple[list[int], list[int]]:
        """The facets that an utterance asks for (its wishes too) and those that it rules out.

        What facets cannot say is left out: one of several genres, a span of years across decades.
        """
        wanted: list[int] = []
        unwanted: list[int] = []
        for found in (*heard.rules, *heard.wishes):
            yes, no = self._of_rule(found.rule)
            wanted += yes
            unwanted += no
        return list(dict.fromkeys(wanted)), list(dict.fromkeys(unwanted))

    @cached_property
    def _index(self) -> dict[tuple[str, str], int]:
        pairs = zip(self.columns, self.values, strict=True)
        return {(column, value.lower()): facet for facet, (column, value) in enumerate(pairs)}

    def _of_rule(self, rule: Rule) -> tuple[list[int], list[int]]:
        given = rule.value if isinstance(rule.value, list) else [rule.value]
        names = [value.lower() for value in given if isinstance(value, str)]
        if not names:
            return self._of_years(rule, [float(value) for value in given])
        if rule.op == "contains":
            inside = [
                facet
                for facet in self.groups.get(rule.column, np.array([], np.int64)).tolist()
                if any(f" {name} " in f" {self.values[facet].lower()} " for name in names)
            ]
            return (inside, []) if len(inside) == 1 else ([], [])
        facets = [self._index[rule.column, name] for name in names if (rule.column, name) in self._index]
        if rule.op == "not":
            return [], facets
        return (facets, []) if rule.op == "has all" or len(names) == 1 else ([], [])

    def _of_years(self, rule: Rule, given: Sequence[float]) -> tuple[list[int], list[int]]:
        low, high = min(given), max(given)
        if rule.op in (">", ">="):
            low, high = low + (rule.op == ">"), np.inf
        elif rule.op in ("<", "<="):
            low, high = -np.inf, high - (rule.op == "<")
        yes, no = [], []
        for facet, decade in self._decades(rule.column):
            inside, apart = decade <= low and high < decade + 10, high < decade or decade + 10 <= low
            if rule.op == "not":
                if low <= decade and decade + 9 <= high:
                    no.append(facet)
            elif inside:
                yes.append(facet)
            elif apart:
                no.append(facet)
        return yes, ([] if yes else no)

    def _decades(self, column: str) -> Iterator[tuple[int, int]]:
        for facet in self.groups.get(column, np.array([], np.int64)).tolist():
            if self.values[facet].removesuffix("s").isdigit():
                yield facet, int(self.values[facet][:-1])


def _pairs(values: pl.Series, year: bool) -> pl.DataFrame:
    """Each (item, value) of a column, a year as its decade: "1990s"."""
    table = pl.DataFrame({"item": np.arange(len(values)), "value": values})
    if isinstance(values.dtype, pl.List):
        table = table.explode("value")
    table = table.drop_nulls("value")
    if year:
        table = table.with_columns(pl.format("{}s", pl.col("value").cast(pl.Int64) // 10 * 10).alias("value"))
    return table.with_columns(pl.col("value").cast(pl.String)).unique(maintain_order=True)
