"""Requests for the splits of a prepared data set that have none: simulated, written, reported."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from latentcrs.data.dataset import SPLITS, PreparedDataset
from latentcrs.progress import step
from latentcrs.simulate.attributes import AttributesUser, requests_for
from latentcrs.simulate.rows import request_rows


@dataclass(frozen=True)
class Filled:
    """What `fill_requests` wrote and what it kept."""

    written: pl.DataFrame  # `REQUESTS_SCHEMA`
    kept: pl.DataFrame | None  # requests that were there and stay
    redrawn: int  # sentences that gave their title away and were drawn again
    without_conditions: int  # requests for items of which the catalogue says nothing that could be said


def fill_requests(
    dataset: PreparedDataset,
    seed: int = 0,
    augmentations: int = 5,
    noun: str | None = None,
    force: bool = False,
) -> Filled | None:
    """Let the `attributes` user speak for every split without requests and write them beside those that are there.

    `force` replaces all. Returns None when nothing was missing.
    """
    missing = list(SPLITS) if force else list(dataset.missing_splits)
    if not missing:
        return None
    kept = None if force or not dataset.has_requests else dataset.requests
    rows = request_rows(dataset, seed, augmentations).filter(pl.col("split").is_in(missing))
    with step("simulated requests", total=len(rows)) as running:
        running.note("reading the catalogue")
        user = AttributesUser(dataset, seed, noun)
        requests, spoken = requests_for(user, rows, running.advance)
        running.note(f"{len(requests):,} written")
    dataset.write_requests(requests if kept is None else pl.concat([kept, requests]))
    return Filled(requests, kept, spoken.redrawn, sum(not said.conditions for said in spoken.said))
