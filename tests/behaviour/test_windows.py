"""Claims about windows of training sequences and the token rows of histories."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.behaviour.windows import batches, cut_windows, history_tokens, window_tokens
from latentcrs.data import Histories

START = 1000
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any)


def sequences_of(lengths: list[int]) -> Histories:
    """Sequences in which every item occurs once, so that an item names its place."""
    numbers = iter(range(START))
    return Histories.from_lists([[next(numbers) for _ in range(length)] for length in lengths])


@settings(max_examples=150, deadline=None)
@given(
    LENGTHS.filter(lambda lengths: sum(lengths) < START), st.integers(1, 12), st.integers(1, 9), st.integers(0, 99)
)
def test_an_epoch_predicts_every_item_once_from_the_items_before_it(
    lengths: list[int], size: int, batch: int, seed: int
) -> None:
    sequences, rng = sequences_of(lengths), np.random.default_rng(seed)
    first_items = set(sequences.items[sequences.offsets[sequences.lengths > 0]].tolist())
    predicted: Counter[int] = Counter()
    for part in batches(cut_windows(sequences.lengths, size, rng), batch, rng):
        tokens, targets, _ = window_tokens(sequences, part, START)
        assert tokens.shape == targets.shape
        assert tokens.shape[1] <= size
        for row, wanted in zip(tokens.tolist(), targets.tolist(), strict=True):
            real = [target for target in wanted if target >= 0]
            assert wanted == real + [-1] * (len(wanted) - len(real)), "aligned on the left"
            predicted.update(real)
            assert row[: len(real)] == [START if item in first_items else item - 1 for item in real]
            assert row[len(real) :] == [START] * (len(wanted) - len(real))
    assert predicted == Counter(sequences.items.tolist())


def test_the_borders_of_windows_move_from_epoch_to_epoch() -> None:
    lengths = np.array([30])
    seen = {tuple(cut_windows(lengths, 10, np.random.default_rng(seed)).first.tolist()) for seed in range(20)}
    assert len(seen) > 5


def test_a_sequence_that_fits_is_never_cut() -> None:
    for seed in range(20):
        windows = cut_windows(np.array([10, 3]), 10, np.random.default_rng(seed))
        assert windows.first.tolist() == [0, 0]
        assert windows.last.tolist() == [10, 3]


def test_histories_of_every_length_become_rows_that_end_in_their_newest_item() -> None:
    tokens, last = history_tokens(Histories.from_lists([[], [7], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]]), 4, START)
    assert tokens.tolist() == [
        [START, START, START, START],
        [START, 7, START, START],
        [START, 1, 2, 3],
        [1, 2, 3, 4],
        [2, 3, 4, 5],
    ]
    assert last.tolist() == [0, 1, 3, 3, 3]


def test_only_empty_histories_are_only_start() -> None:
    tokens, last = history_tokens(Histories.from_lists([[], []]), 50, START)
    assert tokens.tolist() == [[START], [START]]
    assert last.tolist() == [0, 0]


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 12))
def test_a_window_from_the_beginning_reads_like_the_history_it_came_from(lengths: list[int], size: int) -> None:
    # What training sees before its last prediction is what serving sees of the same history.
    whole = [length for length in lengths if 0 < length <= size]
    if not whole:
        return
    sequences = sequences_of(whole)
    windows = cut_windows(sequences.lengths, size, np.random.default_rng(0))
    trained, _, _ = window_tokens(sequences, windows, START)
    served, last = history_tokens(Histories(sequences.items, sequences.offsets, sequences.lengths - 1), size, START)
    for row, (length, end) in enumerate(zip(whole, last, strict=True)):
        assert end == length - 1
        assert trained[row, :length].tolist() == served[row, : end + 1].tolist()
