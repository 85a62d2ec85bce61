"""Training sequences cut into windows, and histories turned into the token rows that a network reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentcrs.data.histories import Histories


@dataclass(frozen=True)
class Windows:
    """W slices of the training sequences: window w predicts items `first[w] .. last[w] - 1` of sequence `row[w]`."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[np.int64] | slice) -> Windows:
        return Windows(self.row[index], self.first[index], self.last[index])


def cut_windows(lengths: NDArray[np.int64], size: int, rng: np.random.Generator) -> Windows:
    """Cut every sequence into consecutive windows of at most `size` predictions, the borders drawn afresh.

    Each item of each sequence is predicted exactly once an epoch; a random first border moves what the others see.
    """
    shift = rng.integers(0, size, len(lengths))
    shift[lengths <= size] = 0  # a sequence that fits is never cut
    counts = (lengths + shift + size - 1) // size
    row = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.maximum(0, number * size - shift[row])
    last = np.minimum(lengths[row], (number + 1) * size - shift[row])
    whole = last > first
    return Windows(row[whole], first[whole], last[whole])


def batches(windows: Windows, size: int, rng: np.random.Generator) -> Iterator[Windows]:
    """Batches of `size` windows of like length, in random order: little of a batch is padding."""
    shuffled = rng.permutation(len(windows))
    by_length = shuffled[np.argsort((windows.last - windows.first)[shuffled], kind="stable")]
    parts = np.array_split(by_length, max(1, round(len(windows) / size)))
    for index in rng.permutation(len(parts)):
        yield windows.take(parts[index])


def window_tokens(
    sequences: Histories, windows: Windows, start: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32] | None]:
    """Tokens and targets of a batch of windows, both (B, L): position p of a sequence is predicted from the items
    before it, the one at 0 from `start`. Padding, on the right, has target -1. With the weights of the targets (B, L)
    where the sequences have any.
    """
    position = windows.first[:, None] + np.arange((windows.last - windows.first).max())
    flat = sequences.offsets[windows.row][:, None] + position
    items, end = sequences.items, len(sequences.items) - 1
    inside = position < windows.last[:, None]
    targets = np.where(inside, items[np.minimum(flat, end)], -1)
    tokens = np.where(position == 0, start, items[np.clip(flat - 1, 0, end)])
    weights = None if sequences.weights is None else sequences.weights[np.minimum(flat, end)]
    return np.where(inside, tokens, start).astype(np.int64), targets.astype(np.int64), weights


def history_tokens(histories: Histories, length: int, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token rows (B, L) that end in each history's newest item, and where that is, (B,).

    The row is `start` followed by the whole history when both fit into `length`, else the newest `length` items.
    """
    total = histories.lengths + 1  # with START in front
    first = np.maximum(0, total - length)
    size = total - first
    position = first[:, None] + np.arange(size.max(initial=1))
    items = histories.items if len(histories.items) else np.zeros(1, np.int32)
    flat = np.clip(histories.offsets[:, None] + position - 1, 0, len(items) - 1)
    inside = (position > 0) & (position < total[:, None])
    return np.where(inside, items[flat], start).astype(np.int64), (size - 1).astype(np.int64)
