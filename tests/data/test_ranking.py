"""Claims about where a target ranks, and about Recall@K and NDCG@K."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.data import ranking
from latentcrs.data.histories import Histories
from latentcrs.data.ranking import both_ranks_of, ndcg_at, ranks_of_scores, recall_at, target_ranks


def ranks(scores: list[list[float]], targets: list[int], exclude: list[list[int]] | None = None) -> list[int]:
    left_out = None if exclude is None else Histories.from_lists(exclude)
    return ranks_of_scores(torch.tensor(scores), np.array(targets), left_out).tolist()


def test_the_highest_score_ranks_first_and_the_lowest_last() -> None:
    assert ranks([[0.3, 0.9, -1.0, 0.5]] * 4, [0, 1, 2, 3]) == [3, 1, 4, 2]


def test_a_constant_score_ranks_the_target_last() -> None:
    assert ranks([[2.0] * 5], [3]) == [5]


def test_ties_with_the_target_count_against_it() -> None:
    assert ranks([[1.0, 2.0, 2.0, 0.0]], [1]) == [2]


def test_items_of_the_history_leave_the_ranking() -> None:
    assert ranks([[5.0, 4.0, 3.0, 2.0]], [3], [[0, 2]]) == [2]


def test_a_target_that_is_itself_in_the_history_ranks_last() -> None:
    assert ranks([[5.0, 4.0, 3.0, 2.0]], [0], [[0]]) == [4]


def test_a_score_that_is_no_number_ranks_the_target_last() -> None:
    assert ranks([[math.nan] * 3], [1]) == [3]
    assert ranks([[1.0, math.nan, 0.0]], [1]) == [3]
    assert ranks([[1.0, math.nan, 0.0]], [0]) == [2]


def test_no_rows_have_no_ranks() -> None:
    none = target_ranks(torch.zeros(0, 2), torch.zeros(3, 2), np.zeros(0, np.int64), Histories.from_lists([]))
    assert none.shape == (0,)


CASES = st.integers(2, 9).flatmap(
    lambda n: st.lists(
        st.tuples(
            st.lists(st.integers(-2, 2), min_size=2, max_size=2),  # query
            st.integers(0, n - 1),  # target
            st.lists(st.integers(0, n - 1), max_size=n),  # history
        ),
        min_size=1,
        max_size=8,
    ).map(lambda rows: (n, rows))
)


@settings(max_examples=150, deadline=None)
@given(CASES, st.integers(0, 1000))
def test_a_rank_is_what_counting_by_hand_gives(
    case: tuple[int, list[tuple[list[int], int, list[int]]]], seed: int
) -> None:
    n, rows = case
    # Small integers: products are exact and ties are many.
    items = np.random.default_rng(seed).integers(-2, 3, (n, 2))
    expected = []
    for query, target, history in rows:
        score = [int(np.dot(query, item)) for item in items]
        above = sum(score[other] >= score[target] for other in range(n) if other not in (*history, target))
        expected.append(n if target in history else above + 1)
    queries = torch.tensor([query for query, _, _ in rows], dtype=torch.float32)
    exclude = Histories.from_lists([history for _, _, history in rows])
    targets = np.array([target for _, target, _ in rows])
    assert target_ranks(queries, torch.from_numpy(items).float(), targets, exclude).tolist() == expected


def test_ranking_in_chunks_gives_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, items = torch.from_numpy(rng.normal(size=(23, 4))), torch.from_numpy(rng.normal(size=(50, 4)))
    targets = rng.integers(0, 50, 23)
    exclude = Histories.from_lists([rng.integers(0, 50, length).tolist() for length in rng.integers(0, 9, 23)])
    whole = target_ranks(queries, items, targets, exclude)
    for rows in (1, 5, 22):
        monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", rows * 50)
        assert target_ranks(queries, items, targets, exclude).tolist() == whole.tolist()
    assert len(set(whole.tolist())) > 5


def test_recall_is_one_up_to_rank_k_and_nothing_after() -> None:
    assert recall_at(np.array([1, 5, 6, 100]), 5).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_ndcg_is_the_discount_of_the_rank_up_to_k() -> None:
    found = ndcg_at(np.array([1, 2, 3, 5, 6]), 5)
    assert found == pytest.approx([1.0, 0.6309297535714575, 0.5, 0.3868528072345416, 0.0])


def test_both_protocols_differ_by_the_history_alone() -> None:
    rng = np.random.default_rng(0)
    queries, items = torch.from_numpy(rng.normal(size=(9, 3))), torch.from_numpy(rng.normal(size=(30, 3)))
    targets = rng.integers(0, 15, 9)
    exclude = Histories.from_lists([rng.integers(15, 30, 6).tolist() for _ in range(9)])
    left_out, left_in = both_ranks_of(lambda rows: queries[rows] @ items.T, 30, targets, exclude)
    assert left_out.tolist() == target_ranks(queries, items, targets, exclude).tolist()
    assert left_in.tolist() == target_ranks(queries, items, targets).tolist()
    assert (left_out <= left_in).all() and (left_out < left_in).any()
