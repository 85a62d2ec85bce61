"""What the paper reports: its tables, read from `published.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from latentcrs.data import PreparedDataset

PUBLISHED = ("ml-1m", "video-games", "cds")
"""Data sets of the paper."""


def published_name(dataset: PreparedDataset) -> str | None:
    """The paper's data set that this one is, or is another edition of, by its name and its folder's: one of
    `PUBLISHED`; None for others.
    """
    names = (dataset.info.name.lower(), dataset.path.resolve().name.lower())
    return next((key for key in PUBLISHED for name in names if name.startswith(key)), None)


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(resources.files("latentcrs_lab.paper").joinpath("published.toml").read_text("utf-8"))


def published(table: str, dataset: str | None) -> dict[str, list[float]]:
    """The rows of a table (one-turn, sampled, multi-turn, ablation, tokens) for one of the paper's data sets; no rows
    for another.
    """
    rows: dict[str, list[float]] = _tables()[table].get(dataset, {})
    return rows


def published_counts(dataset: str | None) -> dict[str, float]:
    """The row of Table 1: users, items, actions, length, sparsity (%)."""
    row: dict[str, float] = _tables()["data"].get(dataset, {})
    return row
