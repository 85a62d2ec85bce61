"""Claims about how policies practise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.data import PreparedDataset
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import RECOMMEND, Acts
from latentcrs_lab.systems.practice import Practice


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


def test_practice_answers_truly_and_finds_the_target(dataset: PreparedDataset, hearing: FacetHearing) -> None:
    requests = dataset.requests.filter(pl.col("split") == "valid").head(40)
    practice = Practice(dataset, hearing.facets, requests, *hearing.heard(requests["text"].to_list()))
    rows = np.arange(40)
    sessions, targets = practice.begin(rows), practice.targets[rows]
    asks = np.full(40, RECOMMEND)
    asks[:20] = 0
    items = np.stack([targets - 1, targets], 1) % len(dataset.items)
    items[30:, 1] = items[30:, 0]  # these miss
    found = practice.step(sessions, Acts(asks, items), targets)
    assert found.tolist() == [-1] * 20 + [1] * 10 + [-1] * 10
    has = hearing.facets.has[targets[:20], 0]
    assert (sessions.accepted[:20, 0] >= has).all() and (sessions.rejected[:20, 0] == ~has).all()
    assert sessions.shown[20:].any(1).all() and not sessions.shown[:20].any() and (sessions.turns == 1).all()
