"""Claims about the item index: exact, whatever share of the items may be returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latentcrs.recommend.index import GATHER_BELOW, ItemIndex

Floats = NDArray[np.float32]


def by_sorting(vectors: Floats, query: Floats, k: int, passing: NDArray[np.bool_]) -> tuple[list[int], Floats]:
    scores = vectors @ query
    order = [int(item) for item in np.argsort(-scores, kind="stable") if passing[item]][:k]
    return order, scores[order]


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 300),
    width=st.integers(1, 9),
    k=st.integers(1, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_the_top_is_what_sorting_every_score_gives(n: int, width: int, k: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((n, width), width))
    index = ItemIndex.build(vectors)
    # Once as drawn, once with few enough that they are gathered.
    for wanted in (share, share * GATHER_BELOW):
        passing = rng.random(n) < wanted
        items, scores = index.top(query, k, passing)
        order, expected = by_sorting(vectors, query, k, passing)
        assert items.tolist() == order
        assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)
    everything = np.ones(n, bool)
    assert index.top(query, k)[0].tolist() == by_sorting(vectors, query, k, everything)[0]
    assert index.top(query, k, everything)[0].tolist() == by_sorting(vectors, query, k, everything)[0]


@pytest.mark.parametrize("count", [11, 12, 13])
def test_both_sides_of_the_border_between_gathering_and_searching_agree(count: int) -> None:
    rng = np.random.default_rng(0)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((100, 4), 4))
    passing = np.zeros(100, bool)
    passing[rng.permutation(100)[:count]] = True
    items, _ = ItemIndex.build(vectors).top(query, 50, passing)
    assert items.tolist() == by_sorting(vectors, query, 50, passing)[0]
    assert len(items) == count


def test_nothing_that_passes_gives_nothing() -> None:
    items, scores = ItemIndex.build(np.ones((20, 3), np.float32)).top(np.ones(3, np.float32), 5, np.zeros(20, bool))
    assert (len(items), len(scores)) == (0, 0)


def test_a_saved_index_comes_back_the_same(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    ItemIndex.build(vectors).save(tmp_path / "index.faiss")
    assert ItemIndex.load(tmp_path / "index.faiss").vectors.tolist() == vectors.tolist()
