"""Items by a column: "the cheapest", "newest first", "which of these is the shortest?"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.hear import HeardRule, Sort
from latentcrs.recommend import Recommender
from latentcrs.store.session import Session


def first_by(
    recommender: Recommender,
    sort: Sort,
    session: Session,
    available: NDArray[np.bool_],
    rules: Sequence[HeardRule],
) -> NDArray[np.bool_]:
    """The items, (n,), that come first by an order: all of the last list where that is meant, else `session.k` of
    those available that pass the rules.
    """
    if sort.listed:
        only = np.zeros(len(available), bool)
        only[recommender.item_numbers(session.listed)] = True
        return only
    passing = available.copy()
    for heard in rules:
        passing &= recommender.mask(heard.rule)
    numbers = np.flatnonzero(passing if passing.any() else available)
    only = np.zeros(len(available), bool)
    only[numbers[ordered(recommender, sort, numbers)[: session.k]]] = True
    return only


def ordered(recommender: Recommender, sort: Sort, numbers: NDArray[np.int64]) -> list[int]:
    """Places of `numbers` by a column, those without a value last."""
    values = recommender.bundle.items[sort.column].cast(pl.Float64).to_numpy()[numbers]
    keys = np.where(np.isnan(values), np.inf, -values if sort.descending else values)
    return np.argsort(keys, kind="stable").tolist()
