"""How accuracy changes with what is known: conditions told, items of the history, interactions of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.ranking import recall_at
from latentcrs.data.request_rows import request_rows
from latentcrs.evaluate.intervals import bootstrap_ci95
from latentcrs.evaluate.one_turn import HistoryWindow, RequestSet
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.users.attributes import AttributesUser

CONDITIONS = (1, 2, 3, 4, 5)
HISTORIES = (0, 1, 2, 5, 10, 25, None)
"""Items of each history that are seen; None: all."""
COUNTS = (0, 6, 21, 51, 101)
"""Where the groups of targets begin, by how often they were chosen in training."""
SYSTEMS = ("behaviour", "text", "sum", "bm25-sum", "fusion", "latentcrs-b", "latentcrs-f")
MOST = 3000
"""Requests that a curve is measured on, drawn once for all of its points."""


@dataclass(frozen=True)
class Point:
    """Recall@5 of one system at one value of a curve, with its 95% interval, over n requests."""

    system: str
    at: str
    n: int
    recall: float
    low: float
    high: float

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def by_conditions(opened: EvaluationBundle, seed: int = 0, systems: Sequence[str] = SYSTEMS) -> list[Point]:
    """The same users ask for the same items, by one condition, by two, and so on; those of whom the catalogue says
    enough for the longest request.
    """
    user = AttributesUser(opened.dataset, seed)
    rows = request_rows(opened.dataset, seed, 0).filter(pl.col("split") == "test")
    # Two to spare: some conditions say no more than another.
    drawn = user.table.draw(rows["target"].to_numpy(), np.zeros(len(rows), np.uint64), most=CONDITIONS[-1] + 2)
    rows = _sample(rows, drawn[:, -1] >= 0, seed)
    points = []
    for count in CONDITIONS:
        texts = [request.text for request in user.request(rows, conditions=count)]
        requests = rows.with_columns(text=pl.Series(texts), history=pl.lit(None, pl.List(pl.Int32)))
        points += _points(RequestSet(opened, requests), systems, str(count))
    return points


def by_history(opened: EvaluationBundle, seed: int = 0, systems: Sequence[str] = SYSTEMS) -> list[Point]:
    """The test requests, of users of whom only the newest items are known."""
    requests = opened.dataset.requests.filter(pl.col("split") == "test")
    asked = RequestSet(opened, _sample(requests, np.ones(len(requests), bool), seed))
    points = []
    for length in HISTORIES:
        points += _points(asked, systems, "all" if length is None else str(length), length)
    return points


def by_interactions(opened: EvaluationBundle, systems: Sequence[str] = SYSTEMS) -> list[Point]:
    """The test requests, grouped by how often their item was chosen in training."""
    asked = RequestSet(opened, opened.dataset.requests.filter(pl.col("split") == "test"))
    counts = opened.dataset.training_counts[asked.targets]
    group = np.searchsorted(COUNTS, counts, side="right") - 1
    labels = [*(f"{low}–{high - 1}" if high - low > 1 else str(low) for low, high in pairwise(COUNTS))]
    labels.append(f"{COUNTS[-1]}+")
    points = []
    for system, (ranks, _) in asked.ranks(systems).items():
        for place, label in enumerate(labels):
            if (group == place).sum() > 1:
                points.append(_point(system, label, ranks[group == place]))
    return points


def _sample(rows: pl.DataFrame, usable: NDArray[np.bool_], seed: int) -> pl.DataFrame:
    chosen = np.flatnonzero(usable)
    if len(chosen) > MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST, replace=False))
    return rows[chosen]


def _points(asked: RequestSet, systems: Sequence[str], at: str, history: int | None = None) -> list[Point]:
    seen = None if history is None else HistoryWindow(history)
    return [_point(system, at, ranks) for system, (ranks, _) in asked.ranks(systems, seen).items()]


def _point(system: str, at: str, ranks: NDArray[np.int64]) -> Point:
    hits = recall_at(ranks, 5)[:, None]
    (low,), (high,) = bootstrap_ci95(hits)
    return Point(system, at, len(ranks), float(hits.mean()), float(low), float(high))
